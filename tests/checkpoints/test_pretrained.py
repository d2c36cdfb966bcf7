"""init_cfg: what a config itself names for its backbone is not silently random."""

import pytest
import torch
from classifier_config import classifier_config
from mmengine.config import Config

import mmst  # noqa: F401 - registers STBackbone
from mmst.checkpoints import check_pretrained
from mmst.checkpoints.build import build_model

BACKBONE = {'type': 'ResNet', 'depth': 18, 'base_channels': 8, 'stem_channels': 8}


def config(file, scope='mmpretrain', whole=False, **backbone):
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(file)}
    own = {**BACKBONE, 'init_cfg': None if whole else init_cfg, **backbone}
    return classifier_config(own, scope=scope, **({'init_cfg': init_cfg} if whole else {}))


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return build_model(config('none')).backbone.state_dict()


def test_weights_that_fit_are_taken_without_a_word(weights, tmp_path, warnings):
    torch.save(weights, tmp_path / 'a.pth')
    before = torch.get_rng_state()
    check_pretrained(config(tmp_path / 'a.pth'))
    torch.save({f'backbone.{name}': value for name, value in weights.items()}, tmp_path / 'b.pth')
    check_pretrained(config(tmp_path / 'b.pth', whole=True))
    assert warnings() == ''
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_of_another_network_are_refused(weights, tmp_path):
    """The authors' release, for instance, before its conversion."""
    torch.save({f'features.{name}': value for name, value in weights.items()}, tmp_path / 'a.pth')
    message = r"init_cfg names '.*a\.pth', which would leave 99% of the backbone .*--weights FILE"
    for whole in (False, True):
        with pytest.raises(ValueError, match=message):
            check_pretrained(config(tmp_path / 'a.pth', whole=whole))
    cfg = config(tmp_path / 'a.pth')
    cfg.load_from = 'another.pth'  # which is checked itself
    check_pretrained(cfg)


def test_a_file_for_another_part_says_nothing_about_the_backbone(tmp_path):
    torch.save({}, tmp_path / 'a.pth')
    cfg = config(tmp_path / 'a.pth')
    cfg.model.head.init_cfg = cfg.model.backbone.pop('init_cfg')
    check_pretrained(cfg)


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="names the file 'gone.pth', .*--weights"):
        check_pretrained(config('gone.pth'))
    check_pretrained(config('torchvision://resnet18'))  # is downloaded, and read, in training


def test_what_stays_random_is_told(weights, tmp_path, warnings):
    del weights['conv1.weight']
    torch.save(weights, tmp_path / 'a.pth')
    check_pretrained(config(tmp_path / 'a.pth'))
    assert 'leaves 1 of 60 tensors of the backbone random, which it lacks' in warnings()


@pytest.mark.parametrize('whole', [False, True])
@pytest.mark.parametrize(
    ('depth', 'needed', 'message'),
    [
        (18, 34, r"has 2, 2, 2, 2 blocks in layer1, .*, the config's ResNet 3, 4, 6, 3; give"),
        (34, 18, r"has 3, 4, 6, 3 blocks in layer1, .*, the config's ResNet 2, 2, 2, 2; give"),
    ],
)
def test_fewer_or_more_blocks_are_refused(tmp_path, whole, depth, needed, message):
    file = tmp_path / 'a.pth'
    model = build_model(config('none', depth=depth))
    torch.save((model if whole else model.backbone).state_dict(), file)
    with pytest.raises(ValueError, match=rf"init_cfg names '.*a\.pth', which {message}"):
        check_pretrained(config(file, whole=whole, depth=needed))


def test_a_subnet_may_have_fewer_blocks_than_the_file(weights, tmp_path, warnings):
    torch.save(weights, tmp_path / 'a.pth')
    subnet = {'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depths': (1, 2, 1, 2)}
    cfg = config(tmp_path / 'a.pth', **subnet)
    check_pretrained(cfg)
    torch.save(build_model(cfg).backbone.state_dict(), tmp_path / 'a.pth')
    check_pretrained(cfg)
    assert warnings() == ''
    with pytest.raises(
        ValueError, match="has 1, 1 blocks in layer1, layer3, the config's ResNet 2"
    ):
        check_pretrained(config(tmp_path / 'a.pth'))


def test_what_a_backbone_converts_itself_fits(tmp_path, warnings):
    """mmdet's Swin reads official files by other names."""
    small = {'embed_dims': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2), 'window_size': 2}
    backbone = {'type': 'SwinTransformer', **small, 'convert_weights': True}
    file = tmp_path / 'a.pth'
    cfg = Config({'default_scope': 'mmdet', 'model': {'type': 'RetinaNet', 'backbone': backbone}})
    cfg.model.update(neck=NECK, bbox_head=RETINA)
    official = {
        name.replace('stages.', 'layers.')
        .replace('attn.w_msa.', 'attn.')
        .replace('ffn.layers.0.0.', 'mlp.fc1.')
        .replace('ffn.layers.1.', 'mlp.fc2.')
        .replace('patch_embed.projection', 'patch_embed.proj'): value
        for name, value in build_model(cfg).backbone.state_dict().items()
        if 'downsample' not in name
    }
    torch.save({'model': official}, file)
    cfg.model.backbone.init_cfg = {'type': 'Pretrained', 'checkpoint': str(file)}
    check_pretrained(cfg)
    assert 'downsample' in warnings()
    deeper = {name.replace('blocks.0', 'blocks.1'): value for name, value in official.items()}
    torch.save({'model': official | deeper}, file)
    message = r"init_cfg names '.*a\.pth', .*cannot load: it has no 'stages\.0\.blocks\.1\..*; give"
    with pytest.raises(ValueError, match=message):
        check_pretrained(cfg)
    torch.save({'model': official}, file)
    cfg.model.backbone.depths = (1, 1, 2, 1)
    message = r"has 1 blocks in stages\.2\.blocks, the config's SwinTransformer 2;"
    with pytest.raises(ValueError, match=message):
        check_pretrained(cfg)


NECK = {'type': 'FPN', 'in_channels': [8, 16, 32, 64], 'out_channels': 8, 'num_outs': 5}
RETINA = {
    'type': 'RetinaHead',
    'num_classes': 2,
    'in_channels': 8,
    'feat_channels': 8,
    'anchor_generator': {
        'type': 'AnchorGenerator',
        'ratios': [1.0],
        'scales': [1],
        'strides': [8, 16, 32, 64, 128],
    },
    'bbox_coder': {'type': 'DeltaXYWHBBoxCoder'},
}
