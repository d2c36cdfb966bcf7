"""A small but real Faster R-CNN of mmdet, batches for it, and runs of mmengine's Runner."""

import copy
import importlib
import multiprocessing

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

import mmst  # noqa: F401 - registers what the configs below name

torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(autouse=True)
def mmdet_scope():
    """Tests build mmdet's modules unless they say otherwise."""
    register_all_modules(init_default_scope=False)
    name = 'mmst-tests'
    if not DefaultScope.check_instance_created(name):
        DefaultScope.get_instance(name, scope_name='mmdet')
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def make_detector_config(**backbone) -> ConfigDict:
    """mmdet's Faster R-CNN R50-FPN with ResNet-18, live BatchNorm and few proposals."""
    model = get_config('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py').model
    model.backbone.update(
        type='mmst.STBackbone',
        wraps='ResNet',
        depth=18,
        frozen_stages=-1,
        norm_eval=False,
        zero_init_residual=False,
        init_cfg=None,
    )
    model.neck.in_channels = [64, 128, 256, 512]
    model.roi_head.bbox_head.num_classes = 5
    model.roi_head.bbox_head.fc_out_channels = 64
    model.train_cfg.rpn_proposal.update(nms_pre=64, max_per_img=16)
    model.train_cfg.rcnn.sampler.num = 16
    model.train_cfg.rpn.sampler.num = 32
    model.backbone.update(backbone)
    return model


@pytest.fixture
def detector_config():
    return make_detector_config


@pytest.fixture
def make_detector():
    def make(**backbone):
        torch.manual_seed(0)
        model = MODELS.build(make_detector_config(**backbone))
        model.init_weights()
        model.train()
        return model

    return make


def raw_sample(height: int, width: int, boxes, labels=None, seed: int = 0) -> dict:
    """One sample as mmdet's pipeline packs it: a uint8 image and a DetDataSample."""
    rng = np.random.default_rng(seed)
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.arange(len(boxes)) % 5 if labels is None else torch.tensor(labels)
    size = {'img_shape': (height, width), 'ori_shape': (2 * height, 2 * width)}
    sample = DetDataSample(metainfo={**size, 'scale_factor': (0.5, 0.5), 'img_id': seed})
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    sample.ignored_instances = InstanceData(bboxes=boxes[:1] + 1, labels=labels[:1])
    return {'inputs': image, 'data_samples': sample}


class Samples(Dataset):
    """Eight images of different sizes, one of them without objects."""

    metainfo = {'classes': list('abcde')}

    def __init__(self, length: int = 8):
        sizes = [(64, 96), (96, 64), (64, 64), (80, 96)]
        self.samples = []
        for index in range(length):
            height, width = sizes[index % 4]
            boxes = [[5, 6, 40, 44], [20, 10, 60, 60]][: index % 4]
            self.samples.append(raw_sample(height, width, boxes, seed=index))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return copy.deepcopy(self.samples[index])


@pytest.fixture
def batch():
    """Two preprocessed images of 64 x 96 and 96 x 64 pixels and their data samples."""
    samples = Samples()

    def preprocess(model, indices=(1, 2)):
        raw = pseudo_collate([samples[index] for index in indices])
        return model.data_preprocessor(raw, training=True)

    return preprocess


class Record(Hook):
    """Keeps what the main network logged and what each iteration published about subnets."""

    priority = 'LOWEST'

    def __init__(self):
        self.outputs, self.subnet = [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.outputs.append({name: value.item() for name, value in outputs.items()})
        scalars = runner.message_hub.log_scalars
        prefix = 'train/subnet/'
        self.subnet.append(
            {
                name.removeprefix(prefix): (buffer.current(), len(buffer.data[0]))
                for name, buffer in scalars.items()
                if name.startswith(prefix)
            }
        )


HOOK = {
    'type': 'mmst.StimulativeHook',
    'supervision': {'type': 'mmst.GroundTruthSupervision'},
    'inputs': {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.5},
}


@pytest.fixture
def make_runner(tmp_path):
    """Builds a Runner for a few iterations of the detector; ``hook=None`` trains plainly."""
    made = []

    def make(hook=HOOK, *, model=None, max_iters=3, epochs=None, lr=0.01, samples=8, **settings):
        record = Record()
        loop = (
            {'type': 'EpochBasedTrainLoop', 'max_epochs': epochs}
            if epochs
            else {'type': 'IterBasedTrainLoop', 'max_iters': max_iters}
        )
        arguments = {
            'model': model or make_detector_config(choices=(2, 2, 2, 2)),
            'work_dir': str(tmp_path / f'run{len(made)}'),
            'train_dataloader': {
                'dataset': Samples(samples),
                'batch_size': 2,
                'num_workers': 0,
                'sampler': {'type': 'DefaultSampler', 'shuffle': True},
                'collate_fn': {'type': 'pseudo_collate'},
            },
            'train_cfg': loop,
            'optim_wrapper': {
                'type': 'OptimWrapper',
                'optimizer': {'type': 'SGD', 'lr': lr, 'momentum': 0.9},
            },
            'default_hooks': {
                'logger': {'type': 'LoggerHook', 'interval': 1},
                'checkpoint': None,
                **({'stimulative': hook} if hook else {}),
            },
            'custom_hooks': [record],
            'log_processor': {'by_epoch': bool(epochs)},
            'randomness': {'seed': 7},
            'default_scope': 'mmdet',
            'experiment_name': f'{tmp_path.name}-{len(made)}',
            'log_level': 'ERROR',
        }
        runner = Runner(**{**arguments, **settings})
        runner.record = record
        made.append(runner)
        return runner

    return make


@pytest.fixture
def start_process(request, monkeypatch):
    """Starts a function of a module beside the test in a new process, in which mmdet is imported.

    A server that has imported it forks the processes, which saves the seconds of the import.
    """
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['mmdet.models', 'mmdet.datasets', 'mmdet.evaluation', 'mmst'])
    monkeypatch.syspath_prepend(request.path.parent)
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        monkeypatch.setenv(name, '1')
    processes = []

    def start(module, function, *arguments):
        target = getattr(importlib.import_module(module), function)
        processes.append(context.Process(target=target, args=arguments))
        processes[-1].start()
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.join()


@pytest.fixture
def hook_config():
    """Settings of a StimulativeHook, to be varied."""
    return lambda **changes: {**HOOK, **changes}
