"""One process of a distributed run with a SubnetEvalHook; started by test_eval_hook.py."""

import os

import torch
from mmengine.runner import Runner
from watched_run import DEPTHS, Spy, watched_config

from mmst.cli.launch import set_launcher
from mmst.subnets.eval_hook import SubnetEvalHook
from mmst.subnets.evaluation import active_evaluated_subnet
from mmst.subnets.loaders import TrainingBatches


def train(out, rank):
    """Trains without and with the hook, and saves what the two runs came to."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group(
        'gloo', f'file://{out.parent}/store', rank=rank, world_size=2
    )
    runs = [
        run(watched_config(out.parent / name, hook), rank)
        for name, hook in (('plain', None), ('watched', {'subnets': 2, 'recalibrate': 2}))
    ]
    torch.save(runs, out)


def run(cfg, rank):
    runner = Runner.from_cfg(set_launcher(cfg, 'pytorch', rank))
    spy = Spy()
    runner.register_hook(spy)
    runner.train()
    model = runner.model.module
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with active_evaluated_subnet(runner, DEPTHS, 2, TrainingBatches(runner)):
        recomputed = model.backbone.layer1[0].bn1.running_mean.clone()
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    found = [hook._found for hook in runner.hooks if isinstance(hook, SubnetEvalHook)]
    states = [(python[1], numpy, own) for python, numpy, own in spy.states]
    return {'state': state, 'found': found, 'recomputed': recomputed, 'random': states}
