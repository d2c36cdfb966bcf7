"""Tiny data sets and small configs of the four libraries, for running the tools in seconds."""

import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.visualization import Visualizer

from mmst.mini.coco_categories import COCO_CATEGORIES

TOOLS = Path(__file__).parents[2] / 'tools'

NUM_IMAGES = 6


def _images(folder, size=64):
    """Writes pictures of a bright square each; returns its corner and side per picture."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    squares = []
    for index in range(NUM_IMAGES):
        x, y, side = (int(v) for v in rng.integers([4, 4, 24], [24, 24, 36]))
        image = rng.integers(0, 80, (size, size, 3), dtype=np.uint8)
        image[y : y + side, x : x + side] += 120
        cv2.imwrite(str(folder / f'{index}.png'), image)
        squares.append((x, y, side))
    return squares


def _coco_file(squares, categories, size=64):
    boxes = [[float(v) for v in (x, y, side, side)] for x, y, side in squares]
    return {
        'images': [
            {'id': i, 'file_name': f'{i}.png', 'height': size, 'width': size}
            for i in range(NUM_IMAGES)
        ],
        'annotations': [
            {
                'id': i + 1,
                'image_id': i,
                'category_id': 1,
                'bbox': box,
                'area': box[2] * box[3],
                'iscrowd': 0,
                'num_keypoints': 17,
                'keypoints': [box[0] + 2, box[1] + 2, 2] * 17,
                'segmentation': [],
            }
            for i, box in enumerate(boxes)
        ],
        'categories': categories,
    }


def coco(root):
    """COCO detection and keypoints."""
    (root / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        squares = _images(root / f'{split}2017')
        for kind, number in (('instances', 80), ('person_keypoints', 1)):
            annotations = _coco_file(squares, COCO_CATEGORIES[:number])
            (root / f'annotations/{kind}_{split}2017.json').write_text(json.dumps(annotations))


def cityscapes(root):
    """Cityscapes, one city per split."""
    for split in ('train', 'val'):
        squares = _images(root / f'leftImg8bit/{split}/town')
        maps = root / f'gtFine/{split}/town'
        maps.mkdir(parents=True)
        for index, (x, y, side) in enumerate(squares):
            image = root / f'leftImg8bit/{split}/town/{index}.png'
            image.rename(image.with_name(f'{index}_leftImg8bit.png'))
            labels = np.zeros((64, 64), np.uint8)
            labels[y : y + side, x : x + side] = 1
            cv2.imwrite(str(maps / f'{index}_gtFine_labelTrainIds.png'), labels)


def imagenet(root):
    """ImageNet folders with two classes of its 1000."""
    for split in ('train', 'val'):
        for name in ('n01440764', 'n01443537'):
            _images(root / split / name)


_BACKBONE = """dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None)"""

_LOADER = 'num_workers=0, persistent_workers=False, batch_size=2'

DETECTION = f"""
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
model = dict(
    backbone={_BACKBONE},
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16)),
    test_cfg=dict(rpn=dict(max_per_img=20), rcnn=dict(score_thr=0.0)))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(64, 64)), dict(type='PackDetInputs', meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
train_dataloader = dict({_LOADER}, dataset=dict(pipeline=pipeline))
val_dataloader = dict({_LOADER}, dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
"""

SEGMENTATION = f"""
_base_ = 'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py'
crop_size = (64, 64)
model = dict(
    data_preprocessor=dict(size=crop_size), pretrained='open-mmlab://resnet50_v1c',
    backbone={_BACKBONE.replace('init_cfg=None', "norm_cfg=dict(type='BN')")},
    decode_head=dict(in_channels=64, channels=8, norm_cfg=dict(type='BN')),
    auxiliary_head=dict(in_channels=32, channels=8, norm_cfg=dict(type='BN')))
pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]
train_dataloader = dict({_LOADER}, dataset=dict(pipeline=pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
"""

POSE = f"""
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
codec = dict(type='MSRAHeatmap', input_size=(48, 64), heatmap_size=(16, 16), sigma=2)
model = dict(
    backbone={_BACKBONE},
    head=dict(in_channels=64, deconv_out_channels=(8, 8, 8), decoder=codec))
train_pipeline = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(64, 64)),
    dict(type='GenerateTarget', encoder=dict(codec, input_size=(64, 64))),
    dict(type='PackPoseInputs')]
val_pipeline = [*train_pipeline[:3], train_pipeline[-1]]
train_dataloader = dict({_LOADER}, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict({_LOADER}, dataset=dict(pipeline=val_pipeline, bbox_file=None))
test_dataloader = val_dataloader
model['head']['decoder'] = dict(codec, input_size=(64, 64))
"""

CLASSIFICATION = f"""
_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'
model = dict(backbone={_BACKBONE}, head=dict(in_channels=64))
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
data = dict(_delete_=True, type='CustomDataset', data_root='data/imagenet', pipeline=pipeline)
train_dataloader = dict({_LOADER}, dataset=dict(data, data_prefix='train'))
val_dataloader = dict({_LOADER}, dataset=dict(data, data_prefix='val'))
test_dataloader = val_dataloader
"""

LIBRARIES = {
    'mmdet': (DETECTION, coco),
    'mmseg': (SEGMENTATION, cityscapes),
    'mmpose': (POSE, coco),
    'mmpretrain': (CLASSIFICATION, imagenet),
}
"""Library -> text of a config, function that writes its data."""


@pytest.fixture(params=LIBRARIES)
def tiny(request, tmp_path):
    """A config file of each library and a folder with data for it."""
    pytest.importorskip(request.param)
    text, write_data = LIBRARIES[request.param]
    config, data = tmp_path / f'tiny_{request.param}.py', tmp_path / 'data'
    config.write_text(text)
    write_data(data)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Networks this small are faster so.
    yield config, data
    torch.set_num_threads(threads)


def with_subclasses(parent):
    """A class and all that derive from it: mmpose's visualizer does at second hand."""
    yield parent
    for child in parent.__subclasses__():
        yield from with_subclasses(child)


@pytest.fixture
def run_tool(monkeypatch):
    """Runs ``tools/<name>.py`` in this process, as if from the command line."""

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(f'tool_{name}', TOOLS / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        # A new process would not find the loggers and visualizers of earlier runs.
        for manager in (MMLogger, MessageHub, *with_subclasses(Visualizer)):
            manager._instance_dict.clear()
        module.main()

    return run


PLAIN_CONFIG = """
custom_imports = dict(imports=['plain_module'])
model = dict(type='PlainToy')
train_dataloader = dict(
    dataset=dict(type='PlainNumbers'), batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
custom_hooks = [dict(type='PlainHook')]
"""

PLAIN_MODULE = """
import pickle
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS

@MODELS.register_module(force=True)
class PlainToy(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x, mode='tensor'):
        return {'loss': self.layer(torch.stack(x)).mean()}

@DATASETS.register_module(force=True)
class PlainNumbers(torch.utils.data.Dataset):
    def __init__(self):
        self.length = 4

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return {'x': torch.ones(1)}

@HOOKS.register_module(force=True)
class PlainHook(Hook):
    def __init__(self):
        self.calls = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        BODY
"""


@pytest.fixture
def train_plain(tmp_path, monkeypatch, run_tool):
    """Trains a config of plain mmengine, ``plain.py``, with a hook that runs the given code."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, 'plain_module', raising=False)
    (tmp_path / 'plain.py').write_text(PLAIN_CONFIG)

    def train(code, *options):
        (tmp_path / 'plain_module.py').write_text(PLAIN_MODULE.replace('BODY', code))
        run_tool('train', 'plain.py', *options)

    return train


ST_NETWORK = """
_base_ = './{base}.py'
custom_imports = dict(imports=['mmst'], allow_failed_imports=False)
model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 1, 1)))
"""


@pytest.fixture
def network(tiny, tmp_path):
    """Config of a stimulated network, its checkpoint, its data, and the model."""
    plain, data = tiny
    config = plain.with_name('st.py')
    config.write_text(ST_NETWORK.format(base=plain.stem))
    cfg = Config.fromfile(config)
    if 'data_preprocessor' in cfg:
        cfg.model.data_preprocessor = cfg.data_preprocessor
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval()
    torch.save({'meta': {}, 'state_dict': model.state_dict()}, tmp_path / 'a.pth')
    return config, tmp_path / 'a.pth', data, model
