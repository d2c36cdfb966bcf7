"""Runs in which subnets cannot be trained are refused at their start."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel, MMSeparateDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict

from mmst.core import DepthSpace
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.run_checks import check_run

SPACE = DepthSpace((2, 2))


@pytest.fixture
def process_group(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    yield
    torch.distributed.destroy_process_group()


def run(model, optim_wrapper=None):
    wrapper = optim_wrapper or OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    return SimpleNamespace(model=model, optim_wrapper=wrapper, max_iters=10, cfg=Config())


def test_ordinary_run_passes(process_group):
    check_run(run(torch.nn.Linear(1, 1)), SPACE, RandomSmallerInput(), True)
    distributed = MMDistributedDataParallel(torch.nn.Linear(1, 1))
    check_run(run(distributed), SPACE, RandomSmallerInput(), True)


def test_static_graph_is_refused(process_group):
    model = MMDistributedDataParallel(torch.nn.Linear(1, 1), static_graph=True)
    with pytest.raises(ValueError, match='model_wrapper_cfg.static_graph must be False, got True'):
        check_run(run(model), SPACE, RandomSmallerInput(), True)


def test_other_model_wrapper_is_refused(process_group):
    model = MMSeparateDistributedDataParallel(torch.nn.Sequential(torch.nn.Linear(1, 1)))
    with pytest.raises(TypeError, match='must be MMDistributedDataParallel .* got MMSeparate'):
        check_run(run(model), SPACE, RandomSmallerInput(), True)


def test_several_optimisers_are_refused():
    model = torch.nn.Linear(1, 1)
    wrappers = OptimWrapperDict(a=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)))
    with pytest.raises(
        TypeError, match='optim_wrapper must be a single OptimWrapper .*, got OptimWrapperDict'
    ):
        check_run(run(model, wrappers), SPACE, RandomSmallerInput(), True)
