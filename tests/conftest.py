"""Fixtures of all tests; those that need a library import it, for tests/core has torch alone."""

import importlib
import multiprocessing

import pytest
import torch
from isolation import isolated_globals

torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(autouse=True)
def isolation():
    """A test finds and leaves global state as the others do."""
    with isolated_globals():
        yield


@pytest.fixture(autouse=True)
def mmdet_scope(isolation):
    """Tests build mmdet's modules unless they say otherwise; those of tests/core build none."""
    from mmdet.utils import register_all_modules
    from mmengine.registry import DefaultScope

    register_all_modules(init_default_scope=False)
    DefaultScope.get_instance('mmst-tests', scope_name='mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@pytest.fixture
def detector_config(mmdet_scope):
    from small_detector import make_detector_config

    return make_detector_config


@pytest.fixture
def make_detector(detector_config):
    from mmengine.registry import MODELS

    def make(**backbone):
        torch.manual_seed(0)
        model = MODELS.build(detector_config(**backbone))
        model.init_weights()
        model.train()
        return model

    return make


@pytest.fixture
def batch():
    """Two preprocessed images of 64 x 96 and 96 x 64 pixels and their data samples."""
    from mmengine.dataset import pseudo_collate
    from small_detector import Samples

    samples = Samples()

    def preprocess(model, indices=(1, 2)):
        raw = pseudo_collate([samples[index] for index in indices])
        return model.data_preprocessor(raw, training=True)

    return preprocess


@pytest.fixture
def hook_config():
    """Settings of a StimulativeHook, to be varied."""
    from small_detector import HOOK

    return lambda **changes: {**HOOK, **changes}


@pytest.fixture
def make_runner(tmp_path, mmdet_scope):
    """Builds a Runner for a few iterations of the detector; ``hook=None`` trains plainly."""
    from mmengine.runner import Runner
    from small_detector import HOOK, Record, Samples, make_detector_config

    made = 0

    def make(hook=HOOK, *, model=None, max_iters=3, epochs=None, lr=0.01, samples=8, **settings):
        nonlocal made
        record = Record()
        loop = (
            {'type': 'EpochBasedTrainLoop', 'max_epochs': epochs}
            if epochs
            else {'type': 'IterBasedTrainLoop', 'max_iters': max_iters}
        )
        arguments = {
            'model': model or make_detector_config(choices=(2, 2, 2, 2)),
            'work_dir': str(tmp_path / f'run{made}'),
            'train_dataloader': {
                'dataset': Samples(samples),
                'batch_size': 2,
                'num_workers': 0,
                'sampler': {'type': 'DefaultSampler', 'shuffle': True},
                'collate_fn': {'type': 'pseudo_collate'},
            },
            'train_cfg': loop,
            'optim_wrapper': {
                'type': 'OptimWrapper',
                'optimizer': {'type': 'SGD', 'lr': lr, 'momentum': 0.9},
            },
            'default_hooks': {
                'logger': {'type': 'LoggerHook', 'interval': 1},
                'checkpoint': None,
                **({'stimulative': hook} if hook else {}),
            },
            'custom_hooks': [record],
            'log_processor': {'by_epoch': bool(epochs)},
            'randomness': {'seed': 7},
            'default_scope': 'mmdet',
            'experiment_name': f'{tmp_path.name}-{made}',
            'log_level': 'ERROR',
        }
        runner = Runner(**{**arguments, **settings})
        runner.record = record
        made += 1
        return runner

    return make


@pytest.fixture
def start_process(request, monkeypatch):
    """Starts a function of a module beside the test in a new process, in which mmdet is imported.

    A server that has imported it forks the processes, which saves the seconds of the import.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmdet.models', 'mmdet.datasets', 'mmdet.evaluation', 'mmst'])
    monkeypatch.syspath_prepend(request.path.parent)
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.setenv(name, '1')
    processes = []

    def start(module, function, *arguments):
        target = getattr(importlib.import_module(module), function)
        processes.append(context.Process(target=target, args=arguments))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()
