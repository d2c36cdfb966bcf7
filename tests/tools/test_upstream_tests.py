"""tools/upstream_tests.py finds what a subnet pass in each training forward changes."""

import subprocess
import sys
from pathlib import Path

import mmdet
import pytest

TOOLS = Path(__file__).parents[2] / 'tools'

TESTS = """
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmdet.testing import demo_mm_inputs, get_detector_cfg
from mmdet.utils import register_all_modules

register_all_modules()


def forwards():
    model = ResNet(18, norm_eval=False)
    model.train()
    calls = []
    model.layer2[1].register_forward_hook(lambda *_: calls.append(0))
    model(torch.ones(2, 3, 64, 64))[0].sum().backward()
    return calls, model


def test_one_forward():  # a subnet pass is a second one
    assert len(forwards()[0]) == 1


def test_the_main_network():
    _, model = forwards()
    gradient = model.conv1.weight.grad.clone()
    assert model.bn1.num_batches_tracked == 1
    model.zero_grad()
    model(torch.ones(2, 3, 64, 64))[0].sum().backward()
    torch.testing.assert_close(model.conv1.weight.grad, gradient)


def test_the_registry():
    model = MODELS.build(dict(type='ResNet', depth=18))
    assert type(model) is ResNet and not hasattr(model, 'depth_space')


def test_a_detector():
    cfg = get_detector_cfg('retinanet/retinanet_r18_fpn_1x_coco.py')
    cfg.backbone.init_cfg = None
    model = MODELS.build(cfg)
    data = model.data_preprocessor(demo_mm_inputs(1, [[3, 64, 64]]), True)
    assert model.forward(**data, mode='loss')['loss_cls'][0] > 0


def test_that_fails():
    assert False
"""


@pytest.fixture
def checkout(tmp_path):
    """Something like a clone of mmdet: its package, its configs and tests of our own."""
    package = Path(mmdet.__file__).parent
    root = tmp_path / 'mmdetection'
    (root / 'tests/test_models').mkdir(parents=True)
    (root / 'mmdet').symlink_to(package)
    (root / 'configs').symlink_to(package / '.mim/configs')
    (root / 'tests/test_models/test_some.py').write_text(TESTS)
    return root


def run(checkout, *arguments):
    return subprocess.run(
        [sys.executable, TOOLS / 'upstream_tests.py', '--work-dir', checkout.parent / 'work']
        + ['mmdet', checkout, *arguments],
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_differences_are_found_and_explained(checkout):
    process = run(checkout)
    lines = process.stdout.splitlines()
    assert process.returncode == 1, process.stderr
    assert lines[1:3] == [
        'plain:        4 passed, 1 failed',
        'with subnets: 2 passed, 3 failed',
    ]
    assert lines[3] == 'subnet passes: 4 (4 ResNet) in 3 tests'
    assert lines[4] == 'training forwards without one: 0'
    assert lines[5] == 'tests that differ: 2'
    assert 'test_one_forward: passed plainly, failed with subnets' in lines[6]
    assert 'test_the_registry: passed plainly, failed with subnets' in lines[7]


@pytest.mark.slow
def test_chosen_tests_without_a_difference(checkout):
    process = run(checkout, '-k', 'main_network')
    assert process.returncode == 0, process.stdout
    assert 'subnet passes: 2 (2 ResNet) in 1 tests' in process.stdout
    assert 'tests that differ: 0' in process.stdout


def test_another_version_is_refused(checkout):
    (checkout / 'mmdet').unlink()
    (checkout / 'mmdet').mkdir()
    (checkout / 'mmdet/version.py').write_text("__version__ = '0.1.0'\n")
    process = run(checkout)
    assert process.returncode == 1
    assert f'got 0.1.0 of mmdet, and {mmdet.__version__} is installed' in process.stderr
