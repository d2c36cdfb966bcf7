"""load_from and --resume: a training does not silently start from another model's weights."""

import pytest
import torch
from classifier_config import classifier_config
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader

import mmst  # noqa: F401 - registers STBackbone and mmst://
from mmst.checkpoints import check_checkpoint
from mmst.checkpoints.build import build_model

BACKBONE = {'type': 'ResNet', 'depth': 18, 'base_channels': 8, 'stem_channels': 8}


def config(classes=7, scope='mmpretrain', **backbone):
    return classifier_config({**BACKBONE, **backbone}, classes=classes, scope=scope)


def save(cfg, file, **meta):
    torch.save({'state_dict': build_model(cfg).state_dict(), 'meta': meta}, file)
    return str(file)


def test_a_checkpoint_of_the_model_is_taken_without_a_word(tmp_path, warnings):
    cfg = config()
    cfg.load_from = save(cfg, tmp_path / 'a.pth')
    check_checkpoint(cfg)
    assert warnings() == ''


def test_another_number_of_classes_is_told_and_allowed(tmp_path, warnings):
    cfg = config()
    cfg.load_from = save(config(classes=1000), tmp_path / 'a.pth')
    check_checkpoint(cfg)
    text = warnings()
    assert 'leaves 2 of 102 tensors of the ImageClassifier of the config random' in text
    assert text.rstrip().endswith(': head.fc.bias, head.fc.weight')
    # Tensors of other names count as well: mmengine drops "module." itself.
    state_dict = build_model(config()).state_dict()
    torch.save({f'module.{name}': value for name, value in state_dict.items()}, cfg.load_from)
    check_checkpoint(cfg)
    assert warnings() == ''


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ({'depth': 34}, 'holds a ResNet-34, and the config has depth 18'),
        ({'base_channels': 16}, 'leave 99% of the backbone of the config random'),
        ({'type': 'MobileNetV2'}, 'leave 100% of the backbone of the config random'),
    ],
)
def test_another_backbone_is_refused(tmp_path, source, message):
    cfg = config()
    backbone = {**BACKBONE, **source} if 'type' not in source else source
    other = config()
    other.model.backbone = backbone
    cfg.load_from = save(other, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=rf"load_from '.*a\.pth'.*{message}"):
        check_checkpoint(cfg)


def test_a_file_of_the_backbone_alone_is_refused(tmp_path):
    """mmengine finds none of the model's names in it."""
    cfg = config()
    cfg.load_from = str(tmp_path / 'a.pth')
    torch.save(build_model(cfg).backbone.state_dict(), cfg.load_from)
    message = r'leave 100% of the backbone .*first: backbone.bn1.bias.*--weights FILE'
    with pytest.raises(ValueError, match=message):
        check_checkpoint(cfg)


def test_single_tensors_of_the_backbone_may_stay_random(tmp_path, warnings):
    cfg = config()
    state_dict = build_model(cfg).state_dict()
    cfg.load_from = str(tmp_path / 'a.pth')
    torch.save({n: v for n, v in state_dict.items() if not n.endswith('bias')}, cfg.load_from)
    check_checkpoint(cfg)
    assert 'leaves 21 of 102 tensors' in warnings()
    torch.save({n: v for n, v in state_dict.items() if 'layer4' not in n}, cfg.load_from)
    with pytest.raises(ValueError, match='leave 74% of the backbone'):
        check_checkpoint(cfg)
    torch.save({n: v for n, v in state_dict.items() if 'layer3.1' not in n}, cfg.load_from)
    with pytest.raises(ValueError, match="has 1 blocks in layer3, the config's ResNet 2; give"):
        check_checkpoint(cfg)


def vit(layers):
    """A backbone that mmst knows, without a part per stage."""
    arch = {'embed_dims': 16, 'num_layers': layers, 'num_heads': 2, 'feedforward_channels': 16}
    return {'type': 'VisionTransformer', 'arch': arch, 'img_size': 32, 'patch_size': 16}


def mixer(layers):
    """A backbone that mmst does not know."""
    arch = {'embed_dims': 16, 'num_layers': layers, 'tokens_mlp_dims': 8, 'channels_mlp_dims': 8}
    return {'type': 'MlpMixer', 'arch': arch, 'img_size': 32, 'patch_size': 16}


def with_backbone(backbone, scope='mmpretrain'):
    cfg = config(scope=scope)
    cfg.model.backbone = backbone
    return cfg


THREE_STAGES = {
    **BACKBONE,
    'num_stages': 3,
    'strides': (1, 2, 2),
    'dilations': (1, 1, 1),
    'out_indices': (2,),
}
SUBNET = {**BACKBONE, 'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depth': 50}


@pytest.mark.parametrize(
    ('source', 'wanted', 'message'),
    [
        ({**BACKBONE, 'depth': 50}, {**BACKBONE, 'depth': 101}, '6 blocks in layer3, .*ResNet 23'),
        ({**BACKBONE, 'depth': 101}, {**BACKBONE, 'depth': 50}, '23 blocks in layer3, .*ResNet 6'),
        ({**BACKBONE, 'depth': 101}, {**SUBNET, 'depths': (3, 4, 5, 3)}, '23 blocks in .*ResNet 5'),
        (
            {**SUBNET, 'depths': (3, 2, 5, 3)},
            SUBNET,
            '2, 5 blocks in layer2, layer3, .*ResNet 4, 6',
        ),
        (vit(3), vit(4), "3 blocks in layers, the config's VisionTransformer 4"),
        (vit(4), vit(3), "4 blocks in layers, the config's VisionTransformer 3"),
        (mixer(3), mixer(4), "3 blocks in layers, the config's MlpMixer 4"),
        (mixer(4), mixer(3), "4 blocks in layers, the config's MlpMixer 3"),
    ],
)
def test_fewer_or_more_blocks_are_refused(tmp_path, source, wanted, message):
    cfg = with_backbone(wanted)
    state_dict = build_model(with_backbone(source)).state_dict()
    cfg.load_from = str(tmp_path / 'a.pth')
    for prefix in ('', 'module.'):
        torch.save({f'{prefix}{name}': value for name, value in state_dict.items()}, cfg.load_from)
        with pytest.raises(
            ValueError, match=rf"load_from '.*a\.pth' is of another model: .*{message}"
        ):
            check_checkpoint(cfg)


@pytest.mark.parametrize(
    ('source', 'wanted'),
    [
        ({**SUBNET, 'depths': (3, 2, 5, 3)}, {**SUBNET, 'depths': (3, 2, 5, 3)}),  # an exported one
        ({**BACKBONE, 'depth': 50}, {**SUBNET, 'depths': (3, 2, 5, 3)}),  # a subnet of the file's
        (BACKBONE, THREE_STAGES),  # without its last stage
        (mixer(3), mixer(3)),
    ],
)
def test_parts_of_a_network_start_from_the_whole(tmp_path, warnings, source, wanted):
    cfg = with_backbone(wanted)
    state_dict = build_model(with_backbone(source)).state_dict()
    average = {f'module.{name}': value for name, value in state_dict.items()}  # of EMAHook
    cfg.load_from = str(tmp_path / 'a.pth')
    for content in ({'state_dict': state_dict, 'ema_state_dict': average}, average):
        torch.save(content, cfg.load_from)
        check_checkpoint(cfg)
    assert warnings() == ''


@pytest.mark.parametrize('own', [2, 3])
def test_blocks_of_a_student_are_compared_where_hooks_rename_what_is_loaded(tmp_path, own):
    """mmdet's semi-supervised detectors load a detector into student and teacher."""
    neck = {'type': 'FPN', 'in_channels': [8, 16, 32, 64], 'out_channels': 8, 'num_outs': 5}
    head = {'type': 'FCOSHead', 'num_classes': 2, 'in_channels': 8, 'feat_channels': 32}
    detector = {'type': 'FCOS', 'backbone': BACKBONE, 'neck': neck, 'bbox_head': head}
    cfg = Config({'default_scope': 'mmdet', 'model': {'type': 'SemiBaseDetector'}})
    cfg.model.update(detector=detector, semi_train_cfg={'freeze_teacher': True})
    state_dict = build_model(Config({'default_scope': 'mmdet', 'model': detector})).state_dict()
    if own == 3:
        state_dict |= {
            name.replace('layer2.1', 'layer2.2'): value
            for name, value in state_dict.items()
            if 'layer2.1' in name
        }
    cfg.load_from = str(tmp_path / 'a.pth')
    torch.save(state_dict, cfg.load_from)
    if own == 2:
        check_checkpoint(cfg)
    else:
        with pytest.raises(ValueError, match="it has 3 blocks in layer2, the config's ResNet 2"):
            check_checkpoint(cfg)


class Plain(BaseModel):
    """Two layers, of which a checkpoint may hold one."""

    def __init__(self):
        super().__init__()
        self.large, self.small = torch.nn.Linear(9, 9), torch.nn.Linear(9, 1)

    def forward(self, inputs, mode='tensor'):
        return self.small(self.large(inputs))


def test_a_model_without_a_backbone_is_compared_as_a_whole(tmp_path, warnings):
    cfg = Config({'model': {'type': Plain}, 'load_from': str(tmp_path / 'a.pth')})
    torch.save({'state_dict': {'large.weight': torch.zeros(9, 9)}}, cfg.load_from)
    check_checkpoint(cfg)
    assert (
        warnings()
        .rstrip()
        .endswith(
            'random, which it lacks or has in other shapes: large.bias, small.bias, small.weight'
        )
    )
    torch.save({'state_dict': {'large.bias': torch.zeros(9)}}, cfg.load_from)
    with pytest.raises(ValueError, match='would leave 91% of the Plain of the config random'):
        check_checkpoint(cfg)


def test_a_url_is_checked_like_a_file(tmp_path, monkeypatch):
    content = torch.load(save(config(base_channels=16), tmp_path / 'a.pth'))
    monkeypatch.setitem(CheckpointLoader._schemes, 'https://', lambda *_: content)
    cfg = config()
    cfg.load_from = 'https://somewhere/a.pth'
    with pytest.raises(ValueError, match="load_from 'https://somewhere/a.pth' is of another model"):
        check_checkpoint(cfg)


@pytest.mark.parametrize('content', [[1], {}, {'state_dict': {}}])
def test_what_holds_no_weights_is_refused(tmp_path, content):
    cfg = config()
    cfg.load_from = str(tmp_path / 'a.pth')
    torch.save(content, cfg.load_from)
    with pytest.raises(
        ValueError, match=r'checkpoint must be a file with a state dict, got .*a\.pth'
    ):
        check_checkpoint(cfg)


def test_a_resumed_run_needs_all_of_its_model(tmp_path):
    cfg = config()
    cfg.resume, cfg.load_from = True, save(cfg, tmp_path / 'a.pth', seed=3)
    check_checkpoint(cfg)
    assert cfg.randomness.seed == 3
    save(config(classes=10), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=r"--resume '.*a\.pth' does not fit the ImageClassifier"):
        check_checkpoint(cfg)
