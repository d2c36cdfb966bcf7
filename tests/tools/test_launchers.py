"""The shell scripts pass OpenMMLab's arguments on; two gloo ranks train through the real Runner."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmst.checkpoints import load_checkpoint

TOOLS = Path(__file__).parents[2] / 'tools'


def run_script(folder, script, *arguments, **variables):
    """Runs a script with ``python`` and ``srun`` replaced by one that prints its arguments."""
    for name in ('python', 'srun'):
        fake = folder / name
        fake.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        fake.chmod(0o755)
    environment = {**os.environ, 'PATH': f'{folder}:{os.environ["PATH"]}', **variables}
    return subprocess.run(
        [TOOLS / script, *map(str, arguments)], env=environment, capture_output=True, text=True
    )


def test_dist_train_starts_one_process_per_gpu(tmp_path):
    result = run_script(tmp_path, 'dist_train.sh', 'c.py', 8, '--amp', '--seed', 1, PORT='29511')
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        'python -m torch.distributed.run --nnodes=1 --node_rank=0 --master_addr=127.0.0.1 '
        f'--master_port=29511 --nproc_per_node=8 {TOOLS}/train.py c.py --launcher pytorch --amp '
        '--seed 1\n'
    )


def test_dist_test_takes_a_checkpoint_and_several_nodes(tmp_path):
    result = run_script(
        tmp_path, 'dist_test.sh', 'c.py', 'x.pth', 4, '--tta', NNODES='2', NODE_RANK='1'
    )
    assert '--nnodes=2 --node_rank=1' in result.stdout
    assert result.stdout.endswith(f'{TOOLS}/test.py c.py x.pth --launcher pytorch --tta\n')


@pytest.mark.parametrize(
    ('script', 'last', 'expected'),
    [
        ('slurm_train.sh', 'wd', 'train.py c.py --work-dir=wd --launcher=slurm --amp'),
        ('slurm_test.sh', 'x.pth', 'test.py c.py x.pth --launcher=slurm --amp'),
    ],
)
def test_slurm_gets_its_resources(tmp_path, script, last, expected):
    result = run_script(
        tmp_path, script, 'part', 'job', 'c.py', last, '--amp', GPUS='16', SRUN_ARGS='-x n1'
    )
    assert result.stdout.startswith('srun -p part --job-name=job --gres=gpu:8 --ntasks=16')
    assert result.stdout.endswith(f'-x n1 python -u {TOOLS}/{expected}\n')


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_a_missing_argument_is_named(tmp_path, script):
    result = run_script(tmp_path, script)
    assert result.returncode != 0
    assert f'is missing: tools/{script}' in result.stderr


STIMULATED = """
_base_ = '{base}'
custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet'))
default_hooks = dict(
    stimulative=dict(
        type='mmst.StimulativeHook', num_subnets=2,
        supervision=dict(type='mmst.GroundTruthSupervision'),
        inputs=dict(type='mmst.RandomSmallerInput', min_ratio=0.5)))
"""


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='is about machines without accelerators')
@pytest.mark.parametrize('tiny', ['mmdet'], indirect=True)
def test_two_ranks_train_and_test_without_accelerators(tiny, tmp_path):
    base, data = tiny
    config = tmp_path / 'stimulated.py'
    config.write_text(STIMULATED.format(base=base))
    work_dir = tmp_path / 'run'
    environment = {
        **os.environ,
        'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
        'PORT': '29512',
        'OMP_NUM_THREADS': '1',
    }

    def run(script, *arguments):
        command = [TOOLS / script, config, *arguments, '--data-root', data, '--work-dir', work_dir]
        subprocess.run([str(part) for part in command], env=environment, check=True)

    run('dist_train.sh', 2, '--max-iters', 2, '--weights', 'none')
    file = work_dir / 'iter_2.pth'
    checkpoint = load_checkpoint(file)
    assert checkpoint['meta']['iter'] == 2
    losses = checkpoint['message_hub']['log_scalars']['train/subnet/loss'].data[0]
    assert len(losses) == 2 and (losses > 0).all()
    run('dist_test.sh', file, 2, '--depths', '1,2,2,1', '--out', tmp_path / 'metrics.json')
    assert 'coco/bbox_mAP' in (tmp_path / 'metrics.json').read_text()
