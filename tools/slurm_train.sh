#!/usr/bin/env bash
# Usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...] \
#            tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [OPTIONS]
set -euo pipefail

USAGE='tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [OPTIONS]'
PARTITION=${1:?PARTITION is missing: $USAGE}
JOB_NAME=${2:?JOB_NAME is missing: $USAGE}
CONFIG=${3:?CONFIG is missing: $USAGE}
WORK_DIR=${4:?WORK_DIR is missing: $USAGE}
TOOLS=$(dirname "$0")

# SRUN_ARGS holds several options and is meant to be split.
# shellcheck disable=SC2086
PYTHONPATH="$TOOLS/..:${PYTHONPATH:-}" \
srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres="gpu:${GPUS_PER_NODE:-8}" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$TOOLS/train.py" "$CONFIG" --work-dir="$WORK_DIR" --launcher=slurm "${@:5}"
