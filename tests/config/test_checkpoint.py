"""What tools/test.py evaluates: a checkpoint of the model, or a classifier of another library."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_checkpoint as load_into
from torchvision.models.resnet import Bottleneck, ResNet

import mmst  # noqa: F401 - registers STBackbone and mmst://
from mmst.config import NAMED_WEIGHTS, NamedWeights, check_parameters, set_checkpoint

BACKBONE = {'type': 'ResNet', 'depth': 50}


def config(scope='mmpretrain', kind='ImageClassifier', classes=7, **backbone):
    head = {'type': 'LinearClsHead', 'num_classes': classes, 'in_channels': 2048}
    model = {'type': kind, 'backbone': {**BACKBONE, **backbone}, 'head': head}
    model['neck'] = {'type': 'GlobalAveragePooling'}
    return Config({'default_scope': scope, 'model': model})


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes=7).eval()


@pytest.fixture
def file(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'torchvision.pth')
    return str(tmp_path / 'torchvision.pth')


def logits_after_loading(cfg, images):
    with MODELS.switch_scope_and_registry(cfg.default_scope) as registry:
        model = registry.build(cfg.model)
    load_into(model, cfg.load_from, map_location='cpu', strict=True)
    model.eval()
    with torch.no_grad():
        return model(images)


def test_a_classifier_of_another_library_is_converted_in_memory(network, file):
    images = torch.randn(2, 3, 64, 64)
    cfg = set_checkpoint(config(), file)
    assert (cfg.load_from, cfg.resume) == (f'mmst://{file}', False)
    with torch.no_grad():
        torch.testing.assert_close(logits_after_loading(cfg, images), network(images))


def test_a_named_download_is_converted_in_memory(network, monkeypatch):
    """Whatever mmengine downloads has torchvision's keys."""
    content = network.state_dict()
    monkeypatch.setitem(CheckpointLoader._schemes, 'torchvision://', lambda *_: content)
    images = torch.randn(1, 3, 64, 64)
    cfg = set_checkpoint(config(), 'tnr')
    assert cfg.load_from == 'mmst://torchvision://resnet50.imagenet1k_v2'
    with torch.no_grad():
        torch.testing.assert_close(logits_after_loading(cfg, images), network(images))


def test_a_named_file_is_converted_or_its_remedy_told(network, file, monkeypatch):
    monkeypatch.setitem(NAMED_WEIGHTS, 'st', NamedWeights(file, '', 'convert it'))
    assert set_checkpoint(config(), 'st').load_from == f'mmst://{file}'
    monkeypatch.setitem(NAMED_WEIGHTS, 'st', NamedWeights('gone.pth', '', 'convert it'))
    with pytest.raises(FileNotFoundError, match=r"'st' is the file 'gone.pth', .*; convert it"):
        set_checkpoint(config(), 'st')


@pytest.mark.parametrize('name', ['missing.pth', 'https://somewhere/model.pth'])
def test_what_is_no_local_file_is_left_to_mmengine(name):
    assert set_checkpoint(config(), name).load_from == name


@pytest.mark.parametrize('scope', ['mmdet', 'mmpretrain'])
def test_a_checkpoint_of_openmmlab_is_taken_as_it_is(scope, tmp_path):
    file = str(tmp_path / 'epoch_1.pth')
    torch.save({'state_dict': {'backbone.conv1.weight': torch.ones(1)}}, file)
    assert set_checkpoint(config(scope), file).load_from == file


def test_a_model_without_backbone_takes_any_file(file):
    cfg = Config({'model': {'type': 'Anything'}})
    assert set_checkpoint(cfg, file).load_from == file


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'depth': 101}, 'holds a ResNet-50, and the config has depth 101'),
        ({'style': 'caffe'}, "is of a backbone of style 'pytorch'"),
        ({'classes': 10}, 'it has 7 classes, and the config 10'),
        ({'base_channels': 32}, r'layer1.0.conv1.weight is \(64, 64, 1, 1\), needed'),
        ({'scope': 'mmdet', 'kind': 'FasterRCNN'}, "config's FasterRCNN, and .* --weights"),
    ],
)
def test_a_classifier_that_does_not_fit_is_refused(file, changes, message):
    with pytest.raises(ValueError, match=message):
        set_checkpoint(config(**changes), file)


def test_names_are_of_plain_resnets():
    with pytest.raises(ValueError, match=r'for a backbone of type ResNet, depth 50'):
        set_checkpoint(config(depth=101), 'tnr')
    with pytest.raises(ValueError, match="config's FasterRCNN, and 'tnr' names a classifier"):
        set_checkpoint(config('mmdet', 'FasterRCNN'), 'tnr')


def test_a_backbone_alone_cannot_be_evaluated(network, tmp_path):
    file = str(tmp_path / 'backbone.pth')
    state = {k: v for k, v in network.state_dict().items() if not k.startswith('fc')}
    torch.save(state, file)
    with pytest.raises(ValueError, match=r'without weights of a backbone .* a linear layer'):
        set_checkpoint(config(), file)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: {}, 'for 2 of 2 .first: weight'),
        (lambda state: {'weight': state['weight']}, 'for 1 of 2 .first: bias'),
        (lambda state: {**state, 'bias': torch.ones(7)}, 'for 1 of 2 .first: bias'),
        (lambda state: state, None),
        (lambda state: {f'module.{name}': value for name, value in state.items()}, None),
    ],
)
def test_every_trained_parameter_must_be_in_the_checkpoint(change, message, tmp_path):
    model = torch.nn.Linear(2, 3)
    torch.save({'state_dict': change(model.state_dict())}, tmp_path / 'a.pth')
    runner = SimpleNamespace(model=model, cfg=Config({'load_from': str(tmp_path / 'a.pth')}))
    if message is not None:
        with pytest.raises(ValueError, match=f'must have the parameters of Linear, .* {message}'):
            check_parameters(runner)
        model.requires_grad_(False)
    check_parameters(runner)
