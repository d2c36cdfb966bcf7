"""One process of a distributed run, or the same run alone; started by test_two_ranks.py.

python rank.py OUT SETTINGS   with RANK and WORLD_SIZE in the environment
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

import torch
from mmdet.utils import register_all_modules
from mmengine.runner import Runner

import mmst  # noqa: F401 - registers what the configs name

spec = importlib.util.spec_from_file_location('shared', Path(__file__).parents[1] / 'conftest.py')
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)


def main(out: Path, settings: dict) -> None:
    register_all_modules(init_default_scope=False)
    rank, ranks = int(os.environ['RANK']), int(os.environ['WORLD_SIZE'])
    distributed = ranks > 1
    if distributed:
        store = f'file://{out.parent}/store'
        torch.distributed.init_process_group('gloo', store, rank=rank, world_size=ranks)
    data = shared.Samples()
    data.samples = [data.samples[index] for index in settings['indices']]
    runner = Runner(
        model=shared.make_detector_config(
            choices=(2, 2, 2, 2), norm_eval=settings['norm_eval'], with_cp=settings['with_cp']
        ),
        work_dir=str(out.parent / f'{out.stem}-work'),
        train_dataloader={
            'dataset': data,
            'batch_size': 2,
            'num_workers': 0,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'collate_fn': {'type': 'pseudo_collate'},
        },
        train_cfg={'type': 'IterBasedTrainLoop', 'max_iters': settings['max_iters']},
        optim_wrapper={
            'type': 'OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': settings['lr'], 'momentum': 0.9},
            'accumulative_counts': settings['accumulative_counts'],
        },
        default_hooks={
            'checkpoint': None,
            'logger': None,
            'stimulative': {**shared.HOOK, 'num_subnets': 2},
        },
        launcher='pytorch' if distributed else 'none',
        cfg={
            'model_wrapper_cfg': {
                'type': 'MMDistributedDataParallel',
                'device_ids': None,
                'broadcast_buffers': False,
                'find_unused_parameters': settings['find_unused_parameters'],
            }
        }
        if distributed
        else {},
        custom_hooks=[record := shared.Record()],
        randomness={'seed': 7},
        default_scope='mmdet',
        log_level='ERROR',
        experiment_name=out.stem,
    )
    runner.train()
    model = runner.model.module if distributed else runner.model
    state = runner.optim_wrapper.optimizer.state
    torch.save(
        {
            'parameters': dict(model.named_parameters()),
            'gradients': {n: state[p]['momentum_buffer'] for n, p in model.named_parameters()},
            'depths': [[v[f'depth_{i}'][0] for i in (1, 2, 3, 4)] for v in record.subnet],
        },
        out,
    )


if __name__ == '__main__':
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
