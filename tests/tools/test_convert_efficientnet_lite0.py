"""The converter of EfficientNet-Lite0's weights, against a network written after its own keys."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torch.nn import functional as F

timm = pytest.importorskip('timm')
pytest.importorskip('mmpretrain.models')

TOOL = Path(__file__).parents[2] / 'tools' / 'experiments' / 'convert_efficientnet_lite0.py'
# Output channels, kernel size and stride of the blocks.
BLOCKS = [
    (16, 3, 1), (24, 3, 2), (24, 3, 1), (40, 5, 2), (40, 5, 1), (80, 3, 2), (80, 3, 1), (80, 3, 1),
    (112, 5, 1), (112, 5, 1), (112, 5, 1), (192, 5, 2), (192, 5, 1), (192, 5, 1), (192, 5, 1),
    (320, 3, 1),
]  # fmt: skip
ENDS = (0, 2, 4, 10, 15)
"""The last blocks at each resolution."""


def random_weights():
    torch.manual_seed(0)
    state = {}

    def add(convolution, norm, outs, ins, size):
        state[f'{convolution}.weight'] = torch.randn(outs, ins, size, size) / (ins * size**2) ** 0.5
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            state[f'{norm}.{name}'] = torch.rand(outs) + 0.5
        state[f'{norm}.num_batches_tracked'] = torch.tensor(7)

    add('_conv_stem', '_bn0', 32, 3, 3)
    ins = 32
    for number, (outs, size, _) in enumerate(BLOCKS):
        block, width = f'_blocks.{number}', ins if number == 0 else 6 * ins
        if number:
            add(f'{block}._expand_conv', f'{block}._bn0', width, ins, 1)
        add(f'{block}._depthwise_conv', f'{block}._bn1', width, 1, size)
        add(f'{block}._project_conv', f'{block}._bn2', outs, width, 1)
        ins = outs
    add('_conv_head', '_bn1', 1280, 320, 1)
    state.update({'_fc.weight': torch.randn(1000, 1280) / 36, '_fc.bias': torch.randn(1000)})
    return state


def expected(state, x):
    """Features after the blocks of :data:`ENDS`, of the head, and logits."""

    def convolve(x, convolution, norm, stride=1, groups=1):
        weight = state[f'{convolution}.weight']
        missing = [
            max((-(-n // stride) - 1) * stride + weight.shape[-1] - n, 0) for n in x.shape[-2:]
        ]
        sides = [side for n in reversed(missing) for side in (n // 2, n - n // 2)]
        x = F.conv2d(F.pad(x, sides), weight, stride=stride, groups=groups)
        statistics = [state[f'{norm}.{name}'] for name in ('running_mean', 'running_var')]
        return F.batch_norm(
            x, *statistics, state[f'{norm}.weight'], state[f'{norm}.bias'], eps=1e-3
        )

    x = F.relu6(convolve(x, '_conv_stem', '_bn0', 2))
    features = []
    for number, (_, _, stride) in enumerate(BLOCKS):
        block, y = f'_blocks.{number}', x
        if number:
            y = F.relu6(convolve(y, f'{block}._expand_conv', f'{block}._bn0'))
        y = convolve(y, f'{block}._depthwise_conv', f'{block}._bn1', stride, groups=y.shape[1])
        y = convolve(F.relu6(y), f'{block}._project_conv', f'{block}._bn2')
        x = x + y if x.shape == y.shape else y
        if number in ENDS:
            features.append(x)
    head = F.relu6(convolve(x, '_conv_head', '_bn1'))
    return features, head, F.linear(head.mean((2, 3)), state['_fc.weight'], state['_fc.bias'])


@pytest.fixture(scope='module')
def weights():
    return random_weights()


@pytest.fixture
def convert(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(state, *options):
        torch.save(state, tmp_path / 'source.pth')
        target = tmp_path / 'out' / 'target.pth'
        arguments = [tmp_path / 'source.pth', target, *options]
        monkeypatch.setattr(sys, 'argv', [TOOL.name, *map(str, arguments)])
        module.main()
        return torch.load(target, weights_only=True)

    return run


@pytest.mark.parametrize('to', ['features', 'backbone', 'mmpretrain'])
def test_converted_weights_compute_the_same(convert, weights, capsys, to):
    checkpoint = convert(weights, '--to', to)
    backbone = {
        'type': 'mmpretrain.TIMMBackbone',
        'model_name': 'tf_efficientnet_lite0',
        'features_only': to == 'features',
    }
    classifier = {
        'type': 'mmpretrain.ImageClassifier',
        'backbone': backbone,
        'neck': {'type': 'mmpretrain.GlobalAveragePooling'},
        'head': {'type': 'mmpretrain.LinearClsHead', 'num_classes': 1000, 'in_channels': 1280},
    }
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        network = MODELS.build(classifier if to == 'mmpretrain' else backbone)
    network.load_state_dict(checkpoint['state_dict'], strict=True)
    network.eval()
    images = torch.randn(2, 3, 64, 96)
    features, head, logits = expected(weights, images)
    with torch.no_grad():
        if to == 'mmpretrain':
            found, wanted = [network.head(network.extract_feat(images))], [logits]
        else:
            found, wanted = network(images), features if to == 'features' else [head]
    assert len(found) == len(wanted)
    for value, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(value, other)
    tensors = {'features': 288, 'backbone': 294, 'mmpretrain': 296}[to]
    assert f'target.pth: {tensors} tensors for {to}, every key' in capsys.readouterr().out
    assert checkpoint['meta']['source'] == 'source.pth'


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('_blocks.16._bn0.weight', torch.ones(3), "keys of EfficientNet-Lite0 .* got '_blocks.16"),
        ('_blocks.3._se_reduce.weight', torch.ones(3), "got '_blocks.3._se_reduce.weight'"),
        ('layer1.0.conv1.weight', torch.ones(3), "got 'layer1.0.conv1.weight'"),
        ('_bn0.bias', torch.full((32,), torch.nan), 'weights must be finite'),
        ('_bn0.bias', torch.ones(31), 'size mismatch for bn1.bias'),
    ],
)
def test_other_networks_are_refused_and_nothing_is_written(
    convert, weights, tmp_path, key, value, message
):
    with pytest.raises(SystemExit, match=message):
        convert({**weights, key: value})
    assert not (tmp_path / 'out').exists()


def test_missing_tensor_is_refused(convert, weights):
    with pytest.raises(SystemExit, match='Missing key.*classifier.bias'):
        convert({key: value for key, value in weights.items() if key != '_fc.bias'})
