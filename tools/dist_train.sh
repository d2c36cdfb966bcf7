#!/usr/bin/env bash
# Usage: [NNODES=1 NODE_RANK=0 MASTER_ADDR=127.0.0.1 PORT=29500] tools/dist_train.sh CONFIG GPUS [OPTIONS]
# GPUS is the number of processes per node; on a machine without accelerators they run on the CPU.
set -euo pipefail

CONFIG=${1:?CONFIG is missing: tools/dist_train.sh CONFIG GPUS [OPTIONS]}
GPUS=${2:?GPUS is missing: tools/dist_train.sh CONFIG GPUS [OPTIONS]}
TOOLS=$(dirname "$0")

PYTHONPATH="$TOOLS/..:${PYTHONPATH:-}" \
python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "${@:3}"
