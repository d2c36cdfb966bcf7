"""Runs in which subnets cannot be trained are refused at their start."""

from types import SimpleNamespace

import pytest
import torch
from mmengine._strategy.deepspeed import DeepSpeedOptimWrapper, MMDeepSpeedEngineWrapper
from mmengine.config import Config
from mmengine.model import (
    MMDistributedDataParallel,
    MMFullyShardedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.optim import (
    ApexOptimWrapper,
    OptimWrapper,
    OptimWrapperDict,
)

from mmst.engine.run_checks import check_step


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def run(model, optim_wrapper=None, **cfg):
    wrapper = optim_wrapper or OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    return SimpleNamespace(model=model, optim_wrapper=wrapper, cfg=Config(cfg))


def test_ordinary_run_passes(process_group):
    check_step(run(torch.nn.Linear(1, 1)))
    distributed = MMDistributedDataParallel(torch.nn.Linear(1, 1))
    check_step(run(distributed))


@pytest.mark.parametrize(
    ('compiled', 'message'), [(True, 'compile must be off'), (False, 'optim_wrapper must be')]
)
def test_checks_come_before_the_first_iteration(
    make_classifier_runner, hook_config, compiled, message
):
    runner = make_classifier_runner(hook_config(), cfg={'compile': compiled})
    if not compiled:
        wrapper = OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=0.1))
        runner.optim_wrapper = OptimWrapperDict(all=wrapper)
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    with pytest.raises((TypeError, ValueError), match=message):
        runner.train()
    assert runner.iter == 0
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_static_graph_is_refused(process_group):
    model = MMDistributedDataParallel(torch.nn.Linear(1, 1), static_graph=True)
    with pytest.raises(ValueError, match='model_wrapper_cfg.static_graph must be False, got True'):
        check_step(run(model))


def test_other_model_wrapper_is_refused(process_group):
    model = MMSeparateDistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(1, 1)))
    with pytest.raises(TypeError, match='must be MMDistributedDataParallel .* got MMSeparate'):
        check_step(run(model))


def test_several_optimisers_are_refused():
    model = torch.nn.Linear(1, 1)
    wrappers = OptimWrapperDict(a=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))
    with pytest.raises(
        TypeError, match='optim_wrapper must be a single OptimWrapper .*, got OptimWrapperDict'
    ):
        check_step(run(model, wrappers))


@pytest.mark.parametrize('wrapper', [DeepSpeedOptimWrapper, ApexOptimWrapper])
def test_optimiser_with_a_loss_scale_of_its_own_is_refused(wrapper):
    model = torch.nn.Linear(1, 1)
    with pytest.raises(TypeError, match=f'single OptimWrapper .*, got {wrapper.__name__}'):
        check_step(run(model, wrapper.__new__(wrapper)))


@pytest.mark.parametrize(
    'wrapper', [MMFullyShardedDataParallel, MMDeepSpeedEngineWrapper], ids=lambda w: w.__name__
)
def test_sharded_model_is_refused(wrapper):
    optimiser = OptimWrapper(torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1))
    model = wrapper.__new__(wrapper)
    with pytest.raises(TypeError, match=f'must be MMDistributedDataParallel .* {wrapper.__name__}'):
        check_step(run(model, optimiser))


@pytest.mark.parametrize('compile', [True, {'backend': 'eager'}])
def test_compiled_step_is_refused(compile):
    with pytest.raises(ValueError, match='compile must be off in a stimulated run, got'):
        check_step(run(torch.nn.Linear(1, 1), compile=compile))
