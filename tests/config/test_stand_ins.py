"""--mini: generated data stand for data sets of the same task."""

import dataclasses

import pytest
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import DATASETS, DefaultScope

from mmst.config import apply_mini
from mmst.config.mini import MINI_SETTINGS, layout_of

UPSTREAM = {  # -> layout, number of classes of the dataset
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py': ('cityscapes', 19),
    'mmseg::hrnet/fcn_hr18_4xb4-80k_loveda-512x512.py': ('cityscapes', 7),
    'mmdet::lvis/mask-rcnn_r50_fpn_sample1e-3_ms-1x_lvis-v1.py': ('coco', 80),
    'mmdet::pascal_voc/retinanet_r50_fpn_1x_voc0712.py': ('coco', 20),
}


@pytest.mark.parametrize('name', UPSTREAM)
def test_other_data_sets_of_a_task_read_generated_data(name, tmp_path, monkeypatch):
    library, (layout, number) = name.split('::')[0], UPSTREAM[name]
    pytest.importorskip(f'{library}.utils').register_all_modules(init_default_scope=False)
    few = dataclasses.replace(MINI_SETTINGS[layout], num_train=6, num_val=1)
    monkeypatch.setitem(MINI_SETTINGS, layout, few)
    cfg = get_config(name)
    model = cfg.model.to_dict()
    assert layout_of(cfg) == layout
    apply_mini(cfg, mini_root=tmp_path)
    heads = ('decode_head', 'auxiliary_head', 'roi_head', 'bbox_head')
    assert {key: cfg.model.to_dict().get(key) for key in heads} == {
        key: model.get(key) for key in heads
    }
    with DefaultScope.overwrite_default_scope(library):
        train = DATASETS.build(cfg.train_dataloader.dataset)
        val = DATASETS.build(cfg.val_dataloader.dataset)
    assert len(train.metainfo['classes']) == len(val.metainfo['classes']) == number
    assert len(val) == 1
    seen = set()
    for index in range(len(train)):
        sample = train[index]['data_samples']
        labels = sample.gt_sem_seg.data if library == 'mmseg' else sample.gt_instances.labels
        seen |= set(labels.unique().tolist()) - {255}
    assert seen and max(seen) < number
    evaluator = cfg.val_evaluator
    if library == 'mmdet':
        assert evaluator.type == 'mmdet.CocoMetric'
        assert str(evaluator.ann_file).startswith(str(tmp_path))
        assert evaluator.metric == (['bbox', 'segm'] if 'lvis' in name else 'bbox')


def test_labels_that_begin_at_zero_stay_so(tmp_path):
    """ADE20K's begin at 1, and its pipelines count them down."""
    cfg = get_config('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py')
    before = str(cfg.train_dataloader)
    assert 'reduce_zero_label' in before
    assert 'reduce_zero_label' not in str(apply_mini(cfg, str(tmp_path)).train_dataloader)


def test_data_in_part_generated_share_their_root(tmp_path):
    cfg = Config(
        dict(
            default_scope='mmseg',
            train_dataloader=dict(
                dataset=dict(type='CityscapesDataset', data_root='elsewhere/cityscapes/')
            ),
            val_dataloader=dict(
                dataset=dict(
                    type='DarkZurichDataset',
                    data_root='data/dark_zurich/',
                    pipeline=[dict(type='Resize', scale=(1920, 1080))],
                )
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=10),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        )
    )
    pytest.importorskip('mmseg')
    apply_mini(cfg, str(tmp_path))
    for loader, root in (('train', tmp_path), ('val', tmp_path)):
        assert cfg[f'{loader}_dataloader'].dataset.data_root == f'{root}/'
    val = cfg.val_dataloader.dataset
    assert val.type == 'mmseg.CityscapesDataset'
    assert val.data_prefix == {'img_path': 'leftImg8bit/val', 'seg_map_path': 'gtFine/val'}
