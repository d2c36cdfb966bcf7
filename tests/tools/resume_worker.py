"""Runs tools/train.py in a process of its own that can be killed; used by test_exact_resume.py."""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import torch
from mmdet.utils import register_all_modules
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

import mmst  # noqa: F401 - registers what the configs name

register_all_modules(init_default_scope=False)

TRAIN = Path(__file__).parents[2] / 'tools' / 'train.py'


@HOOKS.register_module()
class KillSwitch(Hook):
    """Kills the process at the start of an iteration, as kill -9 does."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)


def train(arguments, log):
    """Trains as ``tools/train.py`` with the given arguments; what it prints goes to a file."""
    torch.set_num_threads(1)
    with open(log, 'a') as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    spec = importlib.util.spec_from_file_location('tool_train', TRAIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.argv = ['train.py', *map(str, arguments)]
    module.main()
