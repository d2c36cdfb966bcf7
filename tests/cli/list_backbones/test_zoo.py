"""Configs are counted by the class of their first backbone."""

import pytest

from mmst.cli.list_backbones.zoo import count_configs, count_zoo, zoo_table

CONFIGS = {
    'known': "model = dict(type='M', backbone=dict(type='ResNet', depth=50))",
    'subclass': "model = dict(detector=dict(backbone=dict(type='HRFormer')))",
    'first': "model = dict(backbone=dict(type='VGG'), neck=dict(backbone=dict(type='ResNet')))",
    'other_library': "model = dict(backbone=dict(type='mmdet.Darknet'))",
    'scope': "model = dict(_scope_='mmdet', backbone=dict(type='CSPNeXt'))",
    'nobody': "model = dict(backbone=dict(type='Nobody'))",
    'schedule': 'lr = 1',
    'broken': "_base_ = 'missing.py'",
}


def test_configs_are_counted_by_their_first_backbone(tmp_path):
    pytest.importorskip('mmpose')
    pytest.importorskip('mmdet').utils.register_all_modules(init_default_scope=False)
    __import__('mmpose.utils').utils.register_all_modules(init_default_scope=False)
    for name, text in CONFIGS.items():
        (tmp_path / 'folder').mkdir(exist_ok=True)
        (tmp_path / 'folder' / f'{name}.py').write_text(text)
    count = count_configs(tmp_path, 'mmpose')
    names = {name.rpartition('.')[2]: number for name, number in count.known.items()}
    assert names == {'ResNet': 1, 'HRFormer': 1, 'Darknet': 1, 'CSPNeXt': 1}
    assert count.unknown == {'mmpose.models.backbones.vgg.VGG': 1, 'Nobody': 1}
    assert count.without == 1 and list(count.unreadable) == ['folder/broken.py']
    table = zoo_table([count])
    assert '| mmpose | 6 | 4 | 66.7 | VGG 1, Nobody 1 |' in table
    assert 'mmpose: cannot read folder/broken.py: FileNotFoundError' in table


def test_library_that_is_not_installed_is_refused():
    with pytest.raises(ImportError, match='configs of mmnothing need mmnothing'):
        count_zoo('mmnothing')
