"""--mini: layouts and what becomes of a config."""

import pytest
from mmengine.config import Config

from mmst import mini
from mmst.config import MINI_SETTINGS, apply_mini, layout_of

SETTINGS = MINI_SETTINGS['coco']


def config(kind='CocoDataset', scope='mmdet'):
    def loader(split):
        return {
            'batch_size': 16,
            'num_workers': 8,
            'persistent_workers': True,
            'sampler': {'type': 'DefaultSampler', 'shuffle': split == 'train'},
            'dataset': {
                'type': kind,
                'data_root': 'data/coco/',
                'ann_file': f'annotations/{split}.json',
                'pipeline': [{'type': 'Resize', 'scale': (1333, 800), 'keep_ratio': True}],
            },
        }

    return Config(
        {
            'default_scope': scope,
            'train_dataloader': loader('train'),
            'val_dataloader': loader('val'),
            'train_cfg': {'type': 'EpochBasedTrainLoop', 'max_epochs': 12},
            'optim_wrapper': {'optimizer': {'type': 'AdamW', 'lr': 1.0}},
        }
    )


@pytest.fixture
def generated(monkeypatch):
    """Replaces the generator, which has its own tests, by one that only makes the folder."""
    calls = []

    def make_mini_data(layout, root, **numbers):
        root.mkdir(parents=True)
        calls.append((layout, numbers))
        return root

    monkeypatch.setattr(mini, 'make_mini_data', make_mini_data)
    return calls


def test_data_images_and_schedule_become_small(generated, tmp_path):
    cfg = apply_mini(config(), mini_root=tmp_path)
    train = cfg.train_dataloader
    assert train.dataset.data_root == f'{tmp_path / "coco"}/'
    assert tuple(train.dataset.pipeline[0].scale) == SETTINGS.scale
    assert train.batch_size == SETTINGS.batch_size
    assert cfg.val_dataloader.batch_size == 16
    assert train.num_workers == cfg.val_dataloader.num_workers == SETTINGS.num_workers
    assert cfg.train_cfg.max_iters == SETTINGS.max_iters
    assert cfg.optim_wrapper.optimizer.lr == SETTINGS.lr['AdamW']
    numbers = {'num_train': SETTINGS.num_train, 'num_val': SETTINGS.num_val, 'seed': 0}
    assert generated == [('coco', numbers)]


def test_second_stages_of_detectors_see_fewer_boxes(tmp_path):
    stage = {'sampler': {'type': 'RandomSampler', 'num': 512}}
    for stages in (stage, [stage, stage]):  # Faster R-CNN, Cascade R-CNN
        cfg = config()
        cfg.model = {'train_cfg': {'rcnn': stages}}
        rcnn = apply_mini(cfg, str(tmp_path)).model.train_cfg.rcnn
        numbers = [s.sampler.num for s in (rcnn if isinstance(rcnn, list) else [rcnn])]
        assert numbers and set(numbers) == {SETTINGS.num_rois}


def test_other_data_is_used_when_given(generated, tmp_path):
    cfg = apply_mini(config(), str(tmp_path))
    assert cfg.train_dataloader.dataset.data_root == f'{tmp_path}/'
    assert generated == []


class CocoDataset:
    __module__ = 'mmdet.datasets.coco'


@pytest.mark.parametrize('scope', ['mmdet', 'mmpose', None])
@pytest.mark.parametrize('kind', ['mmdet.CocoDataset', CocoDataset])
def test_the_type_says_which_library_it_is_of(kind, scope):
    assert layout_of(config(kind, scope)) == 'coco'


@pytest.mark.parametrize(
    ('kind', 'scope', 'got'),
    [
        ('LVISV1Dataset', 'mmdet', 'mmdet.LVISV1Dataset'),
        ('CityscapesDataset', 'mmseg', 'mmseg.CityscapesDataset'),
        ('CocoDataset', 'mmpose', 'mmpose.CocoDataset'),
        ('mmpose.CocoDataset', 'mmdet', 'mmpose.CocoDataset'),
        ('CocoDataset', None, 'mmengine.CocoDataset'),
    ],
)
def test_data_without_a_generator_is_refused(generated, tmp_path, kind, scope, got):
    message = rf"--mini needs .* one type among \['mmdet\.CocoDataset'\], got \['{got}'\]"
    with pytest.raises(ValueError, match=message):
        apply_mini(config(kind, scope), mini_root=tmp_path)
    assert generated == []


@pytest.mark.parametrize('name', ['train_dataloader', 'train_cfg', 'optim_wrapper'])
def test_a_config_without_training_is_refused(generated, tmp_path, name):
    cfg = config()
    cfg[name] = None
    with pytest.raises(ValueError, match=rf'--mini needs {name} in the config, got none'):
        apply_mini(cfg, mini_root=tmp_path)
    assert generated == []


def test_every_layout_with_settings_has_a_generator():
    assert set(MINI_SETTINGS) <= set(mini.LAYOUTS)
