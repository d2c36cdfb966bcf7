"""load_from and --resume: a training does not silently start from another model's weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader

import mmst  # noqa: F401 - registers STBackbone and mmst://
from mmst.config import check_checkpoint
from mmst.config.fit import build_model

BACKBONE = {'type': 'ResNet', 'depth': 18, 'base_channels': 8, 'stem_channels': 8}


def config(classes=7, scope='mmpretrain', **backbone):
    head = {'type': 'LinearClsHead', 'num_classes': classes, 'in_channels': 64}
    model = {
        'type': 'ImageClassifier',
        'backbone': {**BACKBONE, **backbone},
        'neck': {'type': 'GlobalAveragePooling'},
        'head': head,
    }
    return Config({'default_scope': scope, 'model': model})


def save(cfg, file, **meta):
    torch.save({'state_dict': build_model(cfg).state_dict(), 'meta': meta}, file)
    return str(file)


@pytest.fixture
def warnings(capsys):
    """What has been logged since the last call."""
    MMLogger._instance_dict.clear()  # An earlier test's writes to another stream.
    return lambda: capsys.readouterr().out


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
    # What has other names counts as well: mmengine drops "module." itself.
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


def test_half_of_the_backbone_is_the_least(tmp_path, warnings):
    cfg = config()
    state_dict = build_model(cfg).state_dict()
    cfg.load_from = str(tmp_path / 'a.pth')
    torch.save({n: v for n, v in state_dict.items() if 'layer4' in n}, cfg.load_from)  # 3/4 of it
    check_checkpoint(cfg)
    assert 'leaves 77 of 102 tensors' in warnings()
    torch.save({n: v for n, v in state_dict.items() if 'layer4' not in n}, cfg.load_from)
    with pytest.raises(ValueError, match='leave 74% of the backbone'):
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
