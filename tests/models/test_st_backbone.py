"""STBackbone returns the upstream object, in each library that is installed."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torchvision.models import resnet18

from mmst.core import DepthSpace, active_subnet, residual_stages

# Library, class, arguments, blocks per stage.
BACKBONES = [
    *[
        (library, name, {'depth': depth, **extra}, full)
        for library in ('mmdet', 'mmseg', 'mmpose', 'mmpretrain')
        for name, depth, extra, full in (
            ('ResNet', 18, {}, (2, 2, 2, 2)),
            ('ResNet', 50, {}, (3, 4, 6, 3)),
            ('ResNetV1d', 50, {}, (3, 4, 6, 3)),
            ('ResNeXt', 50, {'groups': 32, 'base_width': 4}, (3, 4, 6, 3)),
        )
        if not (library in ('mmpose', 'mmpretrain') and name == 'ResNeXt')
    ],
    ('mmseg', 'ResNetV1c', {'depth': 50, 'dilations': (1, 1, 2, 4), 'strides': (1, 2, 1, 1)},
     (3, 4, 6, 3)),
    ('mmpretrain', 'ResNetV1c', {'depth': 50}, (3, 4, 6, 3)),
    ('mmpretrain', 'ResNeXt', {'depth': 50}, (3, 4, 6, 3)),
    ('mmpretrain', 'ResNet_CIFAR', {'depth': 18}, (2, 2, 2, 2)),
    ('mmpretrain', 'SEResNet', {'depth': 50}, (3, 4, 6, 3)),
    ('mmpose', 'ResNeXt', {'depth': 50}, (3, 4, 6, 3)),
    ('mmpose', 'SEResNet', {'depth': 50}, (3, 4, 6, 3)),
    ('mmpose', 'RegNet', {'arch': 'regnetx_400mf'}, (1, 2, 7, 12)),
    ('mmdet', 'Res2Net', {'depth': 50, 'scales': 4, 'base_width': 26}, (3, 4, 6, 3)),
    ('mmdet', 'ResNeSt', {'depth': 50, 'radix': 2, 'reduction_factor': 4}, (3, 4, 6, 3)),
    ('mmdet', 'RegNet', {'arch': 'regnetx_3.2gf'}, (2, 6, 15, 2)),
]  # fmt: skip


@pytest.fixture
def scope(request):
    def enter(name):
        context = DefaultScope.overwrite_default_scope(name)
        context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        register = {
            'mmdet': 'mmdet.utils',
            'mmseg': 'mmseg.utils',
            'mmpose': 'mmpose.utils',
            'mmpretrain': 'mmpretrain.utils',
        }
        module = pytest.importorskip(register[name])
        module.register_all_modules(init_default_scope=False)

    return enter


def build(name, arguments, **changes):
    torch.manual_seed(0)
    backbone = MODELS.build(
        {
            'type': 'mmst.STBackbone',
            'wraps': name,
            'out_indices': (0, 1, 2, 3),
            **arguments,
            **changes,
        }
    )
    for parameter in backbone.parameters():
        if parameter.ndim == 1:  # residual branches that end in a BatchNorm of weight 0 are silent
            torch.nn.init.uniform_(parameter, 0.5, 1.0)
    backbone.eval()
    return backbone


@pytest.mark.parametrize(
    ('library', 'name', 'arguments', 'full'), BACKBONES, ids=lambda v: v if type(v) is str else ''
)
def test_subnets_of_upstream_backbones(scope, library, name, arguments, full):
    scope(library)
    upstream = MODELS.build({'type': name, 'out_indices': (0, 1, 2, 3), **arguments})
    backbone = build(name, arguments)
    assert type(backbone) is type(upstream)
    assert type(backbone).__module__.startswith(library)
    assert list(backbone.state_dict()) == list(upstream.state_dict())
    assert backbone.depth_space == DepthSpace(full)

    images = torch.randn(1, 3, 64, 64)
    subnet = backbone.depth_space.smallest
    shallow = build(name, arguments, depths=subnet.depths)
    assert shallow.depth_space == DepthSpace(subnet.depths)
    state = backbone.state_dict()
    shallow.load_state_dict({key: state[key] for key in shallow.state_dict()}, strict=True)
    assert len(shallow.state_dict()) < len(state)
    with torch.no_grad():
        whole = backbone(images)
        with active_subnet(backbone, full):
            assert all(map(torch.equal, backbone(images), whole))
        with active_subnet(backbone, subnet):
            outputs = backbone(images)
        assert all(map(torch.equal, outputs, shallow(images)))
    assert [y.shape for y in outputs] == [y.shape for y in whole]
    assert not any(map(torch.equal, outputs[-1:], whole[-1:]))


def test_class_of_another_library_can_be_named(scope):
    scope('mmdet')
    backbone = build('mmpretrain.ResNet', {'depth': 18})
    assert type(backbone).__module__.startswith('mmpretrain')


def test_settings_of_upstream_stay_upstreams(scope):
    scope('mmdet')
    init_cfg = {'type': 'Pretrained', 'checkpoint': 'torchvision://resnet50'}
    backbone = build(
        'ResNet',
        {'depth': 50, 'frozen_stages': 1, 'norm_eval': True, 'init_cfg': init_cfg, 'with_cp': True},
        choices=(1, 2, 4, 1),
    )
    assert backbone.init_cfg == init_cfg
    backbone.train()
    assert not backbone.layer2[0].bn1.training
    assert not backbone.layer1[0].conv1.weight.requires_grad
    assert backbone.layer2[0].conv1.weight.requires_grad
    assert backbone.depth_space == DepthSpace((3, 4, 6, 3), (1, 2, 4, 1))


@pytest.mark.parametrize('scope_name', ['mmdet', 'mmseg', None])
def test_a_class_or_its_path_is_as_good_as_its_name(scope, scope_name):
    """New-style configs have classes and no scope; mmengine writes the paths of classes."""
    scope('mmdet')
    name = build('ResNet', {'depth': 18}, choices=(1, 2, 2, 1))
    with DefaultScope.overwrite_default_scope(scope_name):
        others = [
            build(wraps, {'depth': 18}, choices=(1, 2, 2, 1))
            for wraps in (type(name), 'mmdet.models.ResNet')
        ]
    for other in others:
        assert type(other) is type(name)
        assert other.depth_space == name.depth_space
        for key, value in name.state_dict().items():
            assert torch.equal(other.state_dict()[key], value), key


def test_shallower_network_has_its_own_space(scope):
    scope('mmdet')
    backbone = build('ResNet', {'depth': 50}, depths=(2, 3, 4, 2), choices=(1, 2, 2, 1))
    assert backbone.depth_space == DepthSpace((2, 3, 4, 2), (1, 2, 2, 1))
    assert [len(stage) for stage in residual_stages(backbone)] == [2, 3, 4, 2]


def test_depths_are_those_of_a_wrapped_class_that_has_them(scope):
    scope('mmdet')
    arguments = {'embed_dims': 8, 'num_heads': (1, 2, 2, 2), 'window_size': 2}
    deeper = build('SwinTransformer', arguments, depths=(1, 3, 2, 1), choices=(1, 2, 1, 1))
    assert deeper.depth_space == DepthSpace((1, 3, 2, 1), (1, 2, 1, 1))
    assert [len(stage.blocks) for stage in deeper.stages] == [1, 3, 2, 1]


def test_layer_numbers_of_a_shallower_network_are_the_whole_ones(scope):
    scope('mmpretrain')
    backbone = build(
        'VisionTransformer',
        {'arch': 'deit-tiny', 'img_size': 32, 'frozen_stages': 11, 'out_type': 'featmap'},
        depths=(2,),
        out_indices=[0, 1, 5, -1],
    )
    backbone.init_weights()
    first, second, sixth, last = backbone(torch.randn(1, 3, 32, 32))
    assert torch.equal(second, sixth) and not torch.equal(first, second)
    assert not torch.equal(second, last)  # which is normalised
    assert backbone.ln1.weight.requires_grad
    assert not backbone.layers[1].ln1.weight.requires_grad


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'choices': (1, 2, 4)}, ValueError, 'one number per stage: got 3 numbers'),
        ({'choices': (1, 2, 4, 1, 1)}, ValueError, 'one number per stage: got 5 numbers'),
        ({'choices': (1, 2, 0, 1)}, ValueError, 'choices must be one positive integer'),
        ({'choices': (1, 5, 4, 1)}, ValueError, 'choices of stage 2 must be at most its 4 blocks'),
        ({'rule': 'sorted'}, ValueError, "rule must be one of .* got 'sorted'"),
        ({'depths': (3, 4, 7, 3)}, ValueError, 'subnet must lie within stages of .3, 4, 6, 3.'),
        ({'depths': (3, 0, 6, 3)}, ValueError, 'depths must be one positive integer'),
        (
            {'choises': (1, 2, 4, 1)},
            TypeError,
            "unknown argument 'choises'; did you mean 'choices'",
        ),
        ({'loss_weight': 1.0}, TypeError, "unknown argument 'loss_weight'"),
        ({'wraps': 'mmst.STBackbone'}, KeyError, "backbone class, got 'mmst.STBackbone'"),
        ({'wraps': 'ResNet5000'}, KeyError, "backbone class, got 'ResNet5000'.*scope 'mmdet'"),
        ({'wraps': 'mmdet.models.Net'}, KeyError, "backbone class, got 'mmdet.models.Net'"),
        (
            {'wraps': resnet18},
            TypeError,
            'wraps must be a backbone class or the name of one, got <',
        ),
        ({'wraps': None}, TypeError, 'wraps must be a backbone class or the name of one, got None'),
    ],
)
def test_wrong_argument_is_refused(scope, changes, error, message):
    scope('mmdet')
    with pytest.raises(error, match=message):
        build('ResNet', {'depth': 50}, **changes)


@MODELS.register_module(force=True)
class UnknownBackbone(torch.nn.Module):
    pass


def test_unknown_backbone_class_is_refused(scope):
    scope('mmdet')
    with pytest.raises(TypeError, match='whose residual stages are known, got .*UnknownBackbone'):
        MODELS.build({'type': 'mmst.STBackbone', 'wraps': 'UnknownBackbone'})


def test_backbone_whose_blocks_pass_lists_is_refused(scope):
    scope('mmdet')
    trident = {
        'num_branch': 3, 'test_branch_idx': 1, 'trident_dilations': (1, 2, 3), 'strides': (1, 2, 2),
        'dilations': (1, 1, 1), 'num_stages': 3, 'out_indices': (2,),
    }  # fmt: skip
    with pytest.raises(TypeError, match=r'can be skipped, got .*\.TridentResNet: .* list of three'):
        build('TridentResNet', {'depth': 50}, **trident)
