"""timm's models in TIMMBackbone: what its feature nets allow, and what is refused in one line."""

import pytest
import torch
from mmengine.registry import MODELS

import mmst  # noqa: F401  (registers STBackbone)
from mmst.core import DepthSpace, active_subnet, residual_stages

timm = pytest.importorskip('timm')
pytest.importorskip('mmpretrain.models')

BLOCKS = (1, 2, 2, 3, 3, 4, 1)


def backbone(model_name='tf_efficientnet_lite0', **arguments):
    return MODELS.build(
        {
            'type': 'mmst.STBackbone',
            'wraps': 'mmpretrain.TIMMBackbone',
            'model_name': model_name,
            **arguments,
        }
    )


@pytest.mark.parametrize(
    ('model', 'arguments'),
    [
        ('tf_efficientnet_lite0', {'feature_location': 'expansion'}),
        ('vit_tiny_patch16_224', {'feature_cls': 'hook', 'img_size': 32}),
    ],
)
def test_features_that_a_hook_takes_from_a_block_are_refused(model, arguments):
    message = r'block \d+ of stage \d+ of .* must be skippable, but timm takes features from it'
    with pytest.raises(ValueError, match=message):
        backbone(model, features_only=True, **arguments)


def test_hooks_on_whole_stages_are_called_in_a_subnet():
    net = backbone('resnet18', features_only=True, feature_cls='hook', depths=None)
    net.eval()
    images = torch.randn(1, 3, 64, 64)
    with active_subnet(net, (1, 1, 1, 1)):
        assert [y.shape[-1] for y in net(images)] == [32, 16, 8, 4, 2]


@pytest.mark.parametrize(
    ('model', 'arguments', 'message'),
    [
        # Its last convolution is a block of EfficientNet.
        (
            'ghostnet_050',
            {'features_only': True},
            r'parts of timm\.models\._eff.*, .*ghostnet$',
        ),
        ('ghostnet_050', {}, r'stages are known, got timm\.models\.ghostnet\.GhostNet'),
        ('resnet18', {'features_only': True, 'feature_cls': 'fx'}, r'got timm\..*FeatureGraphNet'),
        ('resnet18', {'choises': (1, 1, 1, 1)}, r"unexpected keyword argument 'choises'"),
    ],
)
def test_what_is_not_known_is_refused(model, arguments, message):
    with pytest.raises(TypeError, match=message):
        backbone(model, **arguments)


def test_the_error_lists_known_classes_of_the_library_alone():
    with pytest.raises(TypeError) as caught:
        residual_stages(timm.create_model('ghostnet_050'))
    assert 'timm.models.regnet.RegNet' in str(caught.value)
    assert 'mmdet.' not in str(caught.value)


def test_arguments_go_to_timm():
    net = backbone(features_only=True, out_indices=(3, 4), drop_path_rate=0.5, choices=BLOCKS)
    assert net.depth_space == DepthSpace(BLOCKS)
    assert net.timm_model.feature_info.channels() == [112, 320]
    assert net.timm_model.blocks[5][3].drop_path.drop_prob > 0.3


@pytest.mark.parametrize('features_only', [True, False])
def test_checkpointing_of_timm_recomputes_the_subnet(features_only):
    torch.manual_seed(0)
    net = backbone(features_only=features_only)
    images = torch.randn(2, 3, 64, 64, requires_grad=True)

    def gradients():
        net.zero_grad()
        with active_subnet(net, (1, 2, 1, 2, 1, 3, 1)):
            net(images)[-1].square().sum().backward()
        return {name: value.grad for name, value in net.named_parameters()}

    expected = gradients()
    net.timm_model.set_grad_checkpointing()
    recomputed = gradients()
    assert any(value is None for value in expected.values())
    for name, value in expected.items():
        torch.testing.assert_close(recomputed[name], value, msg=name)
