"""Fixtures of all tests; those that need a library import it, for tests/core has torch alone."""

import importlib
import multiprocessing
import re
from pathlib import Path

import pytest
import torch
from isolation import isolated_globals

torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(autouse=True)
def isolation():
    """A test finds and leaves global state as the others do."""
    with isolated_globals():
        yield


@pytest.fixture
def mmdet_scope(isolation):
    """mmdet's modules are built by their bare names."""
    register_all_modules = pytest.importorskip('mmdet.utils').register_all_modules
    from mmengine.registry import DefaultScope

    register_all_modules(init_default_scope=False)
    DefaultScope.get_instance('mmst-tests', scope_name='mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


@pytest.fixture(autouse=True)
def default_scope(mmdet_scope):
    """Tests build mmdet's modules; folders whose subject is no library override this."""


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
    """Preprocesses images with mmdet's data samples for a model."""
    structures = pytest.importorskip('mmdet.structures')
    from detections import preprocessed_batches

    return preprocessed_batches(structures.DetDataSample)


@pytest.fixture
def hook_config():
    """Settings of a StimulativeHook, to be varied."""
    from recorded_run import HOOK

    return lambda **changes: {**HOOK, **changes}


@pytest.fixture
def build_runner(tmp_path, monkeypatch):
    """Builds a Runner for a few iterations; ``hook=None`` trains plainly."""
    from recorded_run import NO_PAUSE, recorded_runner

    monkeypatch.setattr(*NO_PAUSE)
    made = 0

    def build(hook, **settings):
        nonlocal made
        place = {
            'work_dir': str(tmp_path / f'run{made}'),
            'experiment_name': f'{tmp_path.name}-{made}',
        }
        made += 1
        return recorded_runner(hook, **{**place, **settings})

    return build


@pytest.fixture
def make_runner(build_runner, mmdet_scope):
    """Builds a Runner of the detector, or of another model of mmdet."""
    from detections import Detections
    from mmdet.structures import DetDataSample
    from recorded_run import HOOK, loader
    from small_detector import make_detector_config

    def make(hook=HOOK, *, model=None, samples=8, **settings):
        detection = {
            'model': model or make_detector_config(choices=(2, 2, 2, 2)),
            'train_dataloader': loader(Detections(DetDataSample, samples)),
            'default_scope': 'mmdet',
        }
        return build_runner(hook, **{**detection, **settings})

    return make


@pytest.fixture
def saved_figures(monkeypatch):
    """Figures of matplotlib by the names of the files that they were saved in."""
    figure_type = pytest.importorskip('matplotlib.figure').Figure
    save, figures = figure_type.savefig, {}

    def savefig(figure, path, **options):
        save(figure, path, **options)
        name = re.sub(r'^\.(.+)\.\d+\.partial(\.\w+)$', r'\1\2', Path(path).name)
        figures[name] = figure

    monkeypatch.setattr(figure_type, 'savefig', savefig)
    return figures


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
