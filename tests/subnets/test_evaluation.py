"""--depths: a subnet is evaluated, the network stays whole."""

import copy
import itertools
import logging

import pytest
import torch
from mmengine.config import Config
from torch import nn
from torchvision.models import resnet18
from torchvision.ops import FrozenBatchNorm2d

from mmst.core import DepthSpace
from mmst.engine.model_parts import find_backbone
from mmst.subnets.evaluation import (
    check_recalibrate,
    default_recalibrate,
    parse_depths,
    prepare_subnet_test,
    recalibrated_subnet,
    run_subnet_test,
)
from mmst.subnets.loaders import loss_forward


def test_depths_are_read():
    assert parse_depths('2,3, 4,2') == (2, 3, 4, 2)


@pytest.mark.parametrize('text', ['', '2,x', '2,,3', '0,1', '2;3', '1.5'])
def test_unreadable_depths_are_refused(text):
    with pytest.raises(ValueError, match=r'--depths must be positive integers separated by commas'):
        parse_depths(text)


def test_the_ema_hook_is_left_out_and_batches_repeat():
    hooks = [{'type': 'mmdet.EMAHook'}, {'type': 'Other'}]
    cfg = prepare_subnet_test(Config({'custom_hooks': hooks}))
    assert [hook.type for hook in cfg.custom_hooks] == ['Other']
    assert cfg.randomness.seed == 0


def test_a_seed_of_the_config_is_kept():
    cfg = prepare_subnet_test(Config({'randomness': {'seed': 4}}))
    assert cfg.randomness.seed == 4


class FakeRunner:
    """Records what a runner is asked to do, and which blocks run then."""

    def __init__(self, model):
        self.model = model
        self.events = []

    def load_or_resume(self):
        self.events.append(('load', self.blocks()))

    def test(self):
        self.events.append(('test', self.blocks()))
        return {'score': 1.0}

    def blocks(self):
        return [type(block).__name__ for block in self.model.backbone.layer4]


@pytest.fixture
def runner():
    torchvision = pytest.importorskip('torchvision')
    model = nn.Module()
    model.backbone = torchvision.models.resnet18(weights=None)
    return FakeRunner(model)


def test_the_checkpoint_is_loaded_into_the_whole_network(runner):
    metrics = run_subnet_test(runner, (2, 2, 2, 1), 0)
    assert metrics == {'score': 1.0}
    assert runner.events == [('load', ['BasicBlock'] * 2), ('test', ['BasicBlock', 'Skip'])]
    assert runner.blocks() == ['BasicBlock'] * 2


@pytest.mark.parametrize('depths', [(2, 2, 2), (2, 2, 2, 3)])
def test_depths_that_do_not_fit_are_refused_before_the_test(runner, depths):
    with pytest.raises(ValueError, match=r'stages of \(2, 2, 2, 2\) blocks'):
        run_subnet_test(runner, depths, 0)
    assert 'test' not in dict(runner.events)


class Classifier(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.calls = 0

    def data_preprocessor(self, images, training):
        return {'inputs': images}

    def forward(self, inputs, mode):
        self.calls += 1
        self.backbone(inputs)


class Loader(list):
    """A loader of some batches."""

    dataset = None


class Endless(Loader):
    """A loader with an infinite sampler: its length is that of the data."""

    def __iter__(self):
        return itertools.cycle(list.__iter__(self))


@pytest.mark.parametrize(
    ('loader', 'wanted', 'used'), [(Loader, 5, 3), (Loader, 2, 2), (Loader, 3, 3), (Endless, 5, 5)]
)
def test_the_log_tells_how_many_batches_were_used(runner, caplog, loader, wanted, used):
    runner.model = Classifier(runner.model.backbone)
    runner.cfg, runner.seed = Config({'train_dataloader': {}}), 0
    runner.build_dataloader = lambda *_, **__: loader(torch.rand(3, 2, 3, 32, 32))
    runner.logger = logging.getLogger('subnet')
    with caplog.at_level('INFO', 'subnet'):
        run_subnet_test(runner, (2, 2, 2, 1), wanted)
    assert runner.model.calls == used
    assert caplog.messages == [f'Norm statistics from {used} training batches.']


class Augmented(Loader):
    """A loader whose batches depend on global random states, as those without workers do."""

    def __iter__(self):
        return (torch.rand(2, 3, 32, 32) for _ in range(2))


@pytest.fixture
def augmented(runner):
    runner.model = Classifier(runner.model.backbone)
    runner.cfg, runner.seed = Config({'train_dataloader': {}}), 0
    runner.build_dataloader = lambda *_, **__: Augmented()
    runner.logger = logging.getLogger('subnet')
    return runner


def test_statistics_do_not_depend_on_what_ran_before_and_nothing_after_on_them(augmented):
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = torch.rand(1)
        torch.manual_seed(seed)
        with recalibrated_subnet(augmented, (2, 2, 2, 1), 2) as model:
            found.append(model.backbone.bn1.running_mean.clone())
        assert torch.equal(torch.rand(1), expected)
    assert found[0].abs().sum() > 0
    assert torch.equal(*found)


def test_the_network_is_whole_again_after_an_exception(augmented):
    before = {name: value.clone() for name, value in augmented.model.state_dict().items()}
    with pytest.raises(KeyError), recalibrated_subnet(augmented, (2, 2, 2, 1), 1) as model:
        assert 'backbone.layer4.1.conv1.weight' not in model.state_dict()
        raise KeyError
    after = augmented.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


@pytest.mark.parametrize('number', [None, 0, 1])
def test_no_batches_and_the_default_are_fine(number):
    check_recalibrate(number)


def test_a_negative_number_of_batches_is_refused(runner):
    with pytest.raises(ValueError, match=r'--recalibrate must be at least 0, got -1'):
        check_recalibrate(-1)
    with pytest.raises(ValueError, match=r'--recalibrate must be at least 0, got -1'):
        run_subnet_test(runner, (2, 2, 2, 1), -1)


def test_a_model_without_backbone_is_refused():
    with pytest.raises(ValueError, match=r'needs a model with one backbone, got Linear with none'):
        run_subnet_test(FakeRunner(nn.Linear(1, 1)), (1,), 0)


def test_frozen_statistics_need_no_recalibration_by_default():
    model = torch.nn.Module()
    model.backbone = resnet18()
    assert default_recalibrate(model, (1, 1, 1, 1)) == 100
    model.backbone = resnet18(norm_layer=FrozenBatchNorm2d)
    assert default_recalibrate(model, (1, 1, 1, 1)) == 0


def test_the_backbone_of_a_model_is_found():
    plain, model = resnet18(), torch.nn.Module()
    with pytest.raises(ValueError, match='one backbone, got Module with none'):
        find_backbone(model)
    plain.backbone = torch.nn.Linear(1, 1)  # a backbone may have one of its own
    model.student = torch.nn.Module()
    model.student.backbone = plain
    assert find_backbone(model) is plain
    model.teacher = copy.deepcopy(model.student)
    with pytest.raises(ValueError, match='with student.backbone, teacher.backbone'):
        find_backbone(model)
    plain.depth_space = DepthSpace((2, 2, 2, 2))
    assert find_backbone(model) is plain
    model.teacher = copy.deepcopy(model.student)
    with pytest.raises(ValueError, match='with student.backbone, teacher.backbone'):
        find_backbone(model)
    model.teacher = None
    model.student.backbone = torch.compile(plain, backend='eager')
    assert find_backbone(model) is plain


class Resized(nn.Module):
    """A data preprocessor that trains on random sizes, as those of RTMDet and YOLOX do."""

    def __init__(self):
        super().__init__()
        resize = pytest.importorskip('mmdet.models').BatchSyncRandomResize
        self.resize = resize(random_size_range=(64, 256), interval=1)

    def forward(self, images, training):
        return {'inputs': self.resize(images, [])[0]}


class Sizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.data_preprocessor, self.sizes = Resized(), []

    def forward(self, inputs, mode):
        self.sizes.append(tuple(inputs.shape[-2:]))


def test_random_sizes_of_training_need_no_training_and_do_not_change_it():
    model, images = Sizes(), torch.rand(1, 3, 64, 64)
    forward = loss_forward(model)
    for _ in range(4):
        forward(images)
    assert model.sizes[0] == (64, 64) and len(set(model.sizes)) > 1
    assert model.data_preprocessor.resize._input_size is None
