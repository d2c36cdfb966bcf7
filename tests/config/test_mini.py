"""--mini: layouts and what becomes of a config."""

import dataclasses

import pytest
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hub import get_config
from mmengine.registry import DATASETS, METRICS, DefaultScope

from mmst import mini
from mmst.cli.data_files import check_data_files
from mmst.config import apply_mini
from mmst.config.mini import MINI_SETTINGS, layout_of

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


@pytest.mark.parametrize('accelerator', [False, True])
def test_mixed_precision_stays_only_where_it_can_run(monkeypatch, tmp_path, accelerator):
    monkeypatch.setattr('mmst.config.mini.has_accelerator', lambda: accelerator)
    cfg = config()
    amp = {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic', 'dtype': 'float16'}
    cfg.optim_wrapper.update(amp, clip_grad={'max_norm': 1})
    wrapper = apply_mini(cfg, str(tmp_path)).optim_wrapper.to_dict()
    optimizer = {'type': 'AdamW', 'lr': SETTINGS.lr['AdamW']}
    plain = {'optimizer': optimizer, 'clip_grad': {'max_norm': 1}}
    assert wrapper == {**plain, **(amp if accelerator else {'type': 'OptimWrapper'})}


class CocoDataset:
    __module__ = 'mmdet.datasets.coco'


@pytest.mark.parametrize('scope', ['mmdet', 'mmpose', None])
@pytest.mark.parametrize('kind', ['mmdet.CocoDataset', CocoDataset])
def test_the_type_says_which_library_it_is_of(kind, scope):
    assert layout_of(config(kind, scope)) == 'coco'


@pytest.mark.parametrize(
    ('kind', 'scope', 'layout'),
    [
        ('CocoPanopticDataset', 'mmdet', 'coco_panoptic'),
        ('CocoDataset', 'mmpose', 'coco_keypoints'),
        ('mmpose.CocoDataset', 'mmdet', 'coco_keypoints'),
        ('CityscapesDataset', 'mmseg', 'cityscapes'),
        ('ImageNet', 'mmpretrain', 'imagenet'),
        ('CIFAR10', 'mmpretrain', 'cifar10'),
        ('CIFAR100', 'mmpretrain', 'cifar100'),
    ],
)
def test_the_dataset_decides_on_the_layout(kind, scope, layout):
    assert layout_of(config(kind, scope)) == layout


@pytest.mark.parametrize(
    ('kind', 'scope', 'got'),
    [
        ('ReIDDataset', 'mmdet', 'mmdet.ReIDDataset'),
        ('NYUDataset', 'mmseg', 'mmseg.NYUDataset'),
        ('CocoWholeBodyDataset', 'mmpose', 'mmpose.CocoWholeBodyDataset'),
        ('CocoDataset', None, 'mmengine.CocoDataset'),
    ],
)
def test_data_without_a_generator_is_refused(generated, tmp_path, kind, scope, got):
    message = rf"--mini needs .* one of .*'mmdet\.CocoDataset', .* no generated data for {got};"
    with pytest.raises(ValueError, match=message):
        apply_mini(config(kind, scope), mini_root=tmp_path)
    assert generated == []


@pytest.mark.parametrize(
    'name', ['train_dataloader', 'train_cfg', 'optim_wrapper', 'optim_wrapper.optimizer']
)
def test_a_config_without_training_is_refused(generated, tmp_path, name):
    cfg = config()
    cfg.merge_from_dict({name: None})
    with pytest.raises(ValueError, match=rf'--mini needs {name} in the config, got none'):
        apply_mini(cfg, mini_root=tmp_path)
    assert generated == []


def test_exactly_the_layouts_with_a_generator_have_settings():
    assert set(MINI_SETTINGS) == set(mini.LAYOUTS)


UPSTREAM = {  # -> layout, and sides of the largest images of training
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': ('coco', [128, 160]),
    'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py': ('coco_panoptic', [128, 160]),
    'mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py': ('cityscapes', [96, 192]),
    'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py': (
        'coco_keypoints',
        [96, 128],
    ),
    'mmpretrain::resnet/resnet18_8xb32_in1k.py': ('imagenet', [64, 64]),
    'mmpretrain::resnet/resnet18_8xb16_cifar10.py': ('cifar10', [32, 32]),
    'mmpretrain::resnet/resnet50_8xb16_cifar100.py': ('cifar100', [32, 32]),
}


@pytest.mark.parametrize('name', UPSTREAM)
def test_configs_of_all_libraries_read_generated_data(name, tmp_path, monkeypatch):
    library, (layout, largest) = name.split('::')[0], UPSTREAM[name]
    pytest.importorskip(f'{library}.utils').register_all_modules(init_default_scope=False)
    few = dataclasses.replace(MINI_SETTINGS[layout], num_train=3, num_val=1)
    monkeypatch.setitem(MINI_SETTINGS, layout, few)
    cfg = apply_mini(get_config(name), mini_root=tmp_path)
    check_data_files(cfg, ('train_dataloader', 'val_dataloader'))
    with DefaultScope.overwrite_default_scope(library):
        train, val = (
            DATASETS.build(cfg[loader].dataset) for loader in ('train_dataloader', 'val_dataloader')
        )
        evaluators = cfg.val_evaluator
        evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
        Evaluator([METRICS.build(metric) for metric in evaluators])
        sizes = [sorted(train[index]['inputs'].shape[1:]) for index in range(len(train))]
        assert val[0]['inputs'].shape[0] == 3
    assert len(sizes) >= 2
    assert all(short <= largest[0] and long <= largest[1] for short, long in sizes)
    assert all(2 * long > largest[1] for _, long in sizes)


def test_mixed_precision_is_left_out_where_no_device_has_it(tmp_path, monkeypatch):
    monkeypatch.setattr('mmst.config.mini.has_accelerator', lambda: False)
    cfg = config()
    cfg.optim_wrapper.update(
        type='AmpOptimWrapper', loss_scale='dynamic', clip_grad={'max_norm': 5}
    )
    wrapper = apply_mini(cfg, str(tmp_path)).optim_wrapper
    assert wrapper.pop('optimizer').type == 'AdamW'
    assert wrapper == {'type': 'OptimWrapper', 'clip_grad': {'max_norm': 5}}
    monkeypatch.setattr('mmst.config.mini.has_accelerator', lambda: True)
    cfg = config()
    cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
    wrapper = apply_mini(cfg, str(tmp_path)).optim_wrapper
    assert (wrapper.type, wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')


def test_windows_of_mmpretrains_swins_fit_small_images(tmp_path):
    pytest.importorskip('mmpretrain')
    swin = get_config('mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py')
    assert apply_mini(swin, str(tmp_path)).model.backbone.pad_small_map is True
    resnet = get_config('mmpretrain::resnet/resnet50_8xb32_in1k.py')
    assert 'pad_small_map' not in apply_mini(resnet, str(tmp_path)).model.backbone
