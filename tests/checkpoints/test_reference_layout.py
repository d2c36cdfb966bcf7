"""A converted release gives the released model's logits.

``tests/data/resnet50_keys.json`` has the shapes of the release, ``resnet50_eval.npz`` its logits
for weights and inputs that follow from names; both come from the authors' code, in float64.
"""

import json
import math
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

from mmst.checkpoints.reference_layout import is_reference_layout, to_mmpretrain
from mmst.core import active_subnet

ROOT = Path(__file__).parents[2]
DATA = ROOT / 'tests' / 'data'


def tensor_of(key, shape):
    if not shape:
        return torch.zeros((), dtype=torch.int64)
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if values.ndim >= 2:
        return values * math.sqrt(2 / values[0].numel())
    if key.endswith('running_var'):
        return 1 + 0.1 * values.abs()
    if key.endswith(('running_mean', 'bias')):
        return 0.1 * values
    return 1 + 0.1 * values


@pytest.fixture(scope='module')
def release():
    shapes = json.loads((DATA / 'resnet50_keys.json').read_text())
    return {f'module.{key}': tensor_of(key, shape) for key, shape in shapes.items()}


def mmpretrain_resnet50():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        from mmpretrain.utils import register_all_modules

        register_all_modules(init_default_scope=False)
        return (
            MODELS.build(
                {
                    'type': 'ImageClassifier',
                    'backbone': {'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depth': 50},
                    'neck': {'type': 'GlobalAveragePooling'},
                    'head': {'type': 'LinearClsHead', 'num_classes': 1000, 'in_channels': 2048},
                }
            )
            .double()
            .eval()
        )


@pytest.mark.parametrize('depths', [(3, 4, 6, 3), (3, 3, 4, 3), (2, 2, 3, 1)])
def test_converted_release_gives_the_released_logits(release, depths):
    model = mmpretrain_resnet50()
    model.load_state_dict(to_mmpretrain(release), strict=True)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, 96, 96, generator=generator, dtype=torch.float64)
    with torch.no_grad(), active_subnet(model.backbone, depths):
        logits = model(images, mode='tensor')
    expected = np.load(DATA / 'resnet50_eval.npz')['eval_logits_' + '_'.join(map(str, depths))]
    np.testing.assert_allclose(logits.numpy(), expected, rtol=1e-8)


def test_foreign_key_is_refused(release):
    assert is_reference_layout(release)
    with pytest.raises(ValueError, match="authors' release, got the key 'layer1.0.conv1.weight'"):
        to_mmpretrain({**release, 'layer1.0.conv1.weight': torch.ones(1)})


def test_mobilenet_is_not_taken_for_it():
    """torchvision's has `features.0.0.weight`, too."""
    assert not is_reference_layout(['features.0.0.weight', 'features.1.conv.0.0.weight'])


def reference_names(keys):
    """Torchvision's keys of a network of basic blocks -> those of the release."""
    blocks = list(dict.fromkeys(key[:8] for key in keys if key.startswith('layer')))
    parts = {'conv1': 'body.0', 'bn1': 'body.1', 'conv2': 'body.3', 'bn2': 'body.4'}
    others = {'conv1': 'features.0.0', 'bn1': 'features.0.1', 'fc': 'classifier.0'}
    for key in keys:
        module, _, tensor = key.rpartition('.')
        if module in others:
            yield f'{others[module]}.{tensor}'
        else:
            part = parts.get(module[9:], module[9:].replace('downsample', 'shortcut'))
            yield f'features.{blocks.index(key[:8]) + 1}.{part}.{tensor}'


@pytest.mark.parametrize('depth', [18, 34])
def test_basic_blocks_are_found_in_their_stages(depth):
    torchvision = pytest.importorskip('torchvision')
    with torch.device('meta'):
        keys = list(torchvision.models.get_model(f'resnet{depth}').state_dict())
    renamed = to_mmpretrain(dict(zip(reference_names(keys), keys, strict=True)))
    assert len(renamed) == len(keys)
    for name, key in renamed.items():
        assert name == (f'head.{key}' if key.startswith('fc') else f'backbone.{key}')


def run_tool(*arguments):
    command = [sys.executable, 'tools/convert_checkpoint.py', *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_tool_writes_what_weights_reads(release, tmp_path):
    source, target = tmp_path / 'model_best.pth.tar', tmp_path / 'out' / 'resnet50_st.pth'
    torch.save({'epoch': 1, 'state_dict': release, 'best_acc1': 80.5}, source)
    result = run_tool(source, target)
    assert result.returncode == 0, result.stderr
    written = torch.load(target, weights_only=True)['state_dict']
    assert len(written) == len(release)
    expected = to_mmpretrain(release)
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[key], value) for key, value in expected.items())
    assert 'layout: reference\narchitecture: ResNet-50' in result.stdout
    assert 'left out: epoch, best_acc1 (' in result.stdout
    assert [path.name for path in target.parent.iterdir()] == ['resnet50_st.pth']
