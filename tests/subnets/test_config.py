"""The config of an exported subnet is an ordinary one of its own."""

import pytest
from mmengine.config import Config
from mmengine.config.lazy import LazyObject
from mmengine.registry import MODELS
from torchvision.models import ResNet

from mmst.subnets.config import make_subnet_config, use_validation_data

HOOK = {'type': 'mmst.StimulativeHook'}
WATCH = {'type': 'mmst.SubnetEvalHook', 'subnets': [(1, 1)]}


def make(**backbone):
    return Config(
        {
            'model': {
                'type': 'Model',
                'pretrained': 'torchvision://resnet50',
                'backbone': {'type': 'mmst.STBackbone', 'wraps': 'ResNet', **backbone},
            },
            'hook': HOOK,
            'default_hooks': {
                'timer': {'type': 'IterTimerHook'},
                'stimulative': HOOK,
                'watch': WATCH,
            },
            'custom_hooks': [HOOK, WATCH, {'type': 'Other'}],
            'custom_imports': {'imports': ['mmst', 'mine'], 'allow_failed_imports': False},
            'work_dir': 'work_dirs/full',
            'launcher': 'pytorch',
            'default_scope': 'mmdet',
        }
    )


def test_depths_replace_the_space():
    backbone = make_subnet_config(
        make(choices=(1, 2), rule='stochastic'), (2, 1), 'a'
    ).model.backbone
    assert backbone == {'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depths': [2, 1]}


def test_a_plain_backbone_is_wrapped_and_mmst_imported():
    cfg = make()
    cfg.model.backbone = {'type': 'ResNet', 'depth': 50}
    cfg.custom_imports = {'imports': 'mine'}
    exported = make_subnet_config(cfg, (2, 1), 'a')
    wanted = {'type': 'mmst.STBackbone', 'wraps': 'ResNet', 'depth': 50, 'depths': [2, 1]}
    assert exported.model.backbone == wanted
    assert exported.custom_imports.imports == ['mine', 'mmst']


def test_a_class_is_named_by_its_path():
    cfg = make()
    for kind in (ResNet, LazyObject('torchvision.models.resnet', 'ResNet')):
        cfg.model.backbone.type = kind
        exported = make_subnet_config(cfg, (2,), 'a')
        assert exported.model.backbone.wraps == 'torchvision.models.resnet.ResNet'
        assert MODELS.get(exported.model.backbone.wraps) is ResNet


def test_nothing_of_stimulative_training_or_of_the_run_is_left():
    exported = make_subnet_config(make(choices=(1, 2)), (2, 1), 'a')
    assert list(exported.default_hooks) == ['timer']
    assert [hook.type for hook in exported.custom_hooks] == ['Other']
    assert 'StimulativeHook' not in exported.pretty_text
    assert exported.model.pretrained is None
    assert 'work_dir' not in exported and 'launcher' not in exported
    assert exported.custom_imports.imports == ['mmst', 'mine']


def test_the_config_of_the_whole_network_is_not_changed():
    cfg = make(choices=(1, 2))
    before = cfg.pretty_text
    make_subnet_config(cfg, (2, 1), 'a')
    assert cfg.pretty_text == before


def test_the_checkpoint_is_found_beside_the_config_wherever_that_is(tmp_path):
    file = tmp_path / 'here' / 'subnet.py'
    file.parent.mkdir()
    cfg = make()
    cfg.pop('custom_imports')
    exported = make_subnet_config(cfg, (2, 1), 'subnet.pth')
    exported.custom_imports.imports = ['mmst']
    exported.dump(file)
    moved = file.rename(tmp_path / 'subnet.py')
    assert Config.fromfile(moved).load_from == f'{tmp_path}/subnet.pth'


@pytest.mark.parametrize('model', [None, {'type': 'Model'}])
def test_a_config_without_backbone_is_refused(model):
    with pytest.raises(ValueError, match=r'config must have model\.backbone'):
        make_subnet_config(Config({'model': model}), (1,), 'a')


def test_subnets_are_compared_on_validation_data():
    parts = {'val_dataloader': {'batch_size': 1}, 'val_evaluator': {'type': 'A'}, 'val_cfg': {}}
    cfg = use_validation_data(Config({**parts, 'test_evaluator': {'type': 'B'}}))
    assert (cfg.test_dataloader, cfg.test_evaluator) == ({'batch_size': 1}, {'type': 'A'})
    assert cfg.test_cfg == {}


def test_a_config_without_validation_is_refused():
    with pytest.raises(ValueError, match=r'needs val_evaluator in the config, got none'):
        use_validation_data(Config({'val_dataloader': {'batch_size': 1}}))
