"""The checkpoint of tools/test.py: of the model, or a classifier of another library."""

import pytest
import torch
from classifier_config import classifier_config
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_checkpoint as load_into
from torchvision.models.resnet import Bottleneck, ResNet

import mmst  # noqa: F401 - registers STBackbone and mmst://
from mmst.checkpoints.build import build_model
from mmst.checkpoints.model_fit import check_model
from mmst.config import set_checkpoint, set_weights
from mmst.config.named_weights import NAMED_WEIGHTS, NamedWeights

BACKBONE = {'type': 'ResNet', 'depth': 50}


def config(scope='mmpretrain', kind='ImageClassifier', classes=7, **backbone):
    return classifier_config({**BACKBONE, **backbone}, 2048, classes, scope, kind)


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes=7).eval()


@pytest.fixture
def file(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / 'torchvision.pth')
    return str(tmp_path / 'torchvision.pth')


def whole(network):
    """The state dict of a classifier of mmpretrain with the same weights."""
    return {
        f'head.{name}' if name.startswith('fc.') else f'backbone.{name}': value
        for name, value in network.state_dict().items()
    }


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
    monkeypatch.setitem(NAMED_WEIGHTS, 'st', NamedWeights(file, 'convert it'))
    assert set_checkpoint(config(), 'st').load_from == f'mmst://{file}'
    monkeypatch.setitem(NAMED_WEIGHTS, 'st', NamedWeights('gone.pth', 'convert it'))
    with pytest.raises(FileNotFoundError, match=r"'st' is the file 'gone.pth', .*; convert it"):
        set_checkpoint(config(), 'st')


def test_a_url_is_what_the_runner_loads(network, monkeypatch):
    """The backbone of another library is no model of OpenMMLab, wherever it is from."""
    content = {'state_dict': whole(network)}
    monkeypatch.setitem(CheckpointLoader._schemes, 'https://', lambda *_: content)
    assert (
        set_checkpoint(config(), 'https://somewhere/a.pth').load_from == 'https://somewhere/a.pth'
    )
    content['meta'] = {'cfg': "model = dict(backbone=dict(type='ResNet', style='caffe'))"}
    with pytest.raises(ValueError, match=r"'https://somewhere/a.pth' is of .* style 'caffe'"):
        set_checkpoint(config(), 'https://somewhere/a.pth')
    content = [1]
    with pytest.raises(ValueError, match='must be a file with a state dict, got .* with a list'):
        set_checkpoint(config(), 'https://somewhere/a.pth')
    content = network.state_dict()
    with pytest.raises(ValueError, match=r"'https://somewhere/a.pth' does not fit .* misses 267"):
        set_checkpoint(config(), 'https://somewhere/a.pth')


def test_a_missing_file_is_refused():
    with pytest.raises(FileNotFoundError, match="existing file, got 'gone.pth'"):
        set_checkpoint(config(), 'gone.pth')


def test_a_checkpoint_of_openmmlab_is_taken_as_it_is(network, tmp_path):
    file = str(tmp_path / 'epoch_1.pth')
    torch.save({'state_dict': whole(network)}, file)
    assert set_checkpoint(config(), file).load_from == file


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'depth': 101}, 'holds a ResNet-50, and the config has depth 101'),
        ({'style': 'caffe'}, "is of a backbone of style 'pytorch'"),
        (
            {'classes': 10},
            r'2 tensors have another shape \(first: head.fc.weight is \(7, 2048\), needed \(10, ',
        ),
        ({'base_channels': 32}, r'backbone.layer1.0.conv1.weight is \(64, .*, needed \(32, '),
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


def without(*parts):
    """Drops the entries whose names have one of these parts."""
    return lambda state: {
        name: value for name, value in state.items() if not any(part in name for part in parts)
    }


def with_one_more(name):
    return lambda state: {**state, name: torch.ones(1)}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (without('head.fc.bias'), r'misses 1 tensors .first: head.fc.bias'),
        (without('running_'), r'misses 106 tensors .first: backbone.bn1.running_mean'),
        (without('conv1', 'layer1'), r'misses \d+ tensors .first: backbone.conv1.weight'),
        (with_one_more('backbone.layer1.3.conv1.weight'), r'has in excess 1 tensors .*layer1.3'),
        (lambda state: {**state, 'head.fc.bias': torch.ones(5)}, r'head.fc.bias is \(5,\), needed'),
    ],
)
def test_what_does_not_fit_the_model_is_refused(change, message, network, tmp_path):
    """mmengine would log it and evaluate what is random."""
    torch.save({'state_dict': change(whole(network))}, tmp_path / 'a.pth')
    match = f'does not fit the ImageClassifier of the config: .*{message}'
    with pytest.raises(ValueError, match=match):
        set_checkpoint(config(frozen_stages=1), str(tmp_path / 'a.pth'))


@pytest.mark.parametrize(
    'change',
    [
        without('num_batches_tracked'),
        with_one_more('teacher.weight'),
        lambda state: {f'module.{name}': value for name, value in state.items()},
    ],
)
def test_what_makes_no_difference_is_taken(change, network, tmp_path):
    torch.save({'state_dict': change(whole(network))}, tmp_path / 'a.pth')
    set_checkpoint(config(), str(tmp_path / 'a.pth'))


def test_a_deeper_network_has_all_the_tensors_and_is_refused(tmp_path):
    deeper = ResNet(Bottleneck, [3, 4, 23, 3], num_classes=7)
    torch.save({'state_dict': whole(deeper)}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='holds a ResNet-101, and the config has depth 50'):
        set_checkpoint(config(), str(tmp_path / 'a.pth'))


def test_the_whole_network_is_not_the_subnet(network, tmp_path):
    """Its norm statistics are not those of fewer blocks."""
    torch.save({'state_dict': whole(network)}, tmp_path / 'a.pth')
    subnet = {'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depths': (2, 3, 4, 2)}
    with pytest.raises(ValueError, match=r'has in excess 75 tensors .first: backbone.layer1.2'):
        set_checkpoint(config(**subnet), str(tmp_path / 'a.pth'))


@pytest.mark.parametrize(
    ('told', 'message'),
    [
        ("style='caffe'", "of style 'caffe' .*the config has style 'pytorch'"),
        ("norm_cfg=dict(type='BN', eps=1e-3)", r'an epsilon of 0\.001, and .* adds 1e-05'),
    ],
)
def test_what_the_config_of_a_checkpoint_tells_is_compared(told, message, network, tmp_path):
    text = f"model = dict(backbone=dict(type='ResNet', depth=50, {told}))"
    torch.save({'state_dict': whole(network), 'meta': {'cfg': text}}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=message):
        set_checkpoint(config(), str(tmp_path / 'a.pth'))


@pytest.mark.parametrize('content', [{'state_dict': None}, {0: torch.ones(1)}, {}])
def test_what_holds_no_weights_is_refused(content, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='must be a file with a state dict'):
        set_checkpoint(config(), str(tmp_path / 'a.pth'))


def test_a_flipped_bit_is_found(network, tmp_path):
    torch.save({'state_dict': whole(network)}, tmp_path / 'a.pth')
    content = bytearray((tmp_path / 'a.pth').read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(ValueError, match='wrong checksum'):
        set_checkpoint(config(), str(tmp_path / 'a.pth'))


def test_a_part_that_is_not_trained_may_come_from_elsewhere():
    model = torch.nn.ModuleDict({'head': torch.nn.Linear(2, 3), 'teacher': torch.nn.Linear(2, 2)})
    head = {f'head.{name}': value for name, value in model['head'].state_dict().items()}
    with pytest.raises(ValueError, match=r'misses 2 tensors .first: teacher.weight'):
        check_model(model, head, 'a.pth')
    model['teacher'].requires_grad_(False)
    check_model(model, head, 'a.pth')
    model['backbone'] = model.pop('teacher')
    with pytest.raises(ValueError, match=r'misses 2 tensors .first: backbone.weight'):
        check_model(model, head, 'a.pth')


def test_a_frozen_part_of_a_head_may_come_from_elsewhere():
    head = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    model = torch.nn.ModuleDict({'head': head})
    with pytest.raises(ValueError, match=r'misses 4 tensors .first: head.1.weight'):
        check_model(model, {f'head.0.{k}': v for k, v in head[0].state_dict().items()}, 'a.pth')
    head[1].requires_grad_(False)
    check_model(model, {f'head.0.{k}': v for k, v in head[0].state_dict().items()}, 'a.pth')


def test_a_model_that_loads_in_a_way_of_its_own_is_loaded_as_mmengine_does():
    class Strict(torch.nn.Linear):
        def load_state_dict(self, state_dict, strict=True):
            super().load_state_dict(state_dict, strict=True)

    check_model(Strict(2, 3), {**torch.nn.Linear(2, 3).state_dict(), 'more': 1}, 'a.pth')


def test_an_exported_subnet_that_is_another_resnet_by_its_blocks_is_taken(tmp_path):
    """A ResNet-34 of depths 2, 2, 2, 2 has the tensors of a ResNet-18."""
    subnet = {'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depth': 34, 'depths': (2, 2, 2, 2)}
    cfg = config(**subnet)
    cfg.model.head.in_channels = 512
    torch.save({'state_dict': build_model(cfg).state_dict()}, tmp_path / 'a.pth')
    set_checkpoint(cfg, str(tmp_path / 'a.pth'))
    set_weights(cfg, str(tmp_path / 'a.pth'))
    with pytest.raises(ValueError, match='holds a ResNet-18, and the config has depth 34'):
        set_weights(config(depth=34), str(tmp_path / 'a.pth'))


def test_older_versions_of_layers_are_read_as_mmengine_reads_them():
    class Renamed(torch.nn.Linear):
        _version = 2

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
            if local_metadata.get('version', 1) < 2:
                state_dict[f'{prefix}bias'] = state_dict.pop(f'{prefix}shift')
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    old = {'weight': torch.ones(3, 2), 'shift': torch.ones(3)}
    check_model(Renamed(2, 3), {'state_dict': old}, 'a.pth')
    check_model(Renamed(2, 3), {'state_dict': Renamed(2, 3).state_dict()}, 'a.pth')
