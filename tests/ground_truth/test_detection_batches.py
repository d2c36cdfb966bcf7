"""A subnet's batch derives from what batch augmentations of mmdet made of the main network's."""

import copy

import mmcv
import numpy as np
import torch
from mmdet.models import BatchFixedSizePad, BatchSyncRandomResize, DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import MessageHub
from mmengine.registry import TRANSFORMS
from mmengine.structures import InstanceData, PixelData
from preprocessed import Preprocessed

from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput

HALF = RandomSmallerInput(0.5).smallest_sizes
PADDING = {'pad_mask': True, 'pad_seg': True, 'pad_size_divisor': 32, 'pad_value': 114}


def make_model(batch_augments=None, **settings):
    return Preprocessed(DetDataPreprocessor(batch_augments=batch_augments, **settings))


def raw_batch(*fields):
    """Two images, with boxes, masks and semantic maps, of different sizes."""
    rng = np.random.default_rng(0)
    samples, inputs = [], []
    for height, width in [(100, 80), (64, 120)]:
        inputs.append(torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8)))
        sample = DetDataSample(metainfo={'img_shape': (height, width)})
        boxes = torch.tensor([[8.0, 8, 40, 30], [20, 16, 60, 60]])
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([1, 2]))
        if 'masks' in fields:
            masks = rng.integers(0, 2, (2, height, width), dtype=np.uint8)
            sample.gt_instances.masks = BitmapMasks(masks, height, width)
        if 'sem_seg' in fields:
            labels = torch.from_numpy(rng.integers(0, 9, (1, height, width), dtype=np.uint8))
            sample.gt_sem_seg = PixelData(sem_seg=labels)
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def test_proposals_are_what_the_pipeline_gives(tmp_path):
    path = str(tmp_path / 'image.png')
    mmcv.imwrite(np.zeros((100, 80, 3), np.uint8), path)
    bboxes = np.array([[2, 4, 61, 80], [10, 10, 10.5, 40], [70, 90, 79, 99]], np.float32)
    info = {
        'img_path': path,
        'proposals': {'bboxes': bboxes, 'scores': np.array([0.9, 0.5, 0.1], np.float32)},
        'instances': [{'bbox': [8, 8, 40, 30], 'bbox_label': 1, 'ignore_flag': 0}],
    }

    def batch(ratio):
        resize = {'type': 'Resize', 'scale_factor': ratio}
        pipeline = Compose(
            [
                TRANSFORMS.build(transform)
                for transform in (
                    {'type': 'LoadImageFromFile'},
                    {'type': 'LoadProposals'},
                    {'type': 'LoadAnnotations', 'with_bbox': True},
                    {'type': 'ProposalBroadcaster', 'transforms': [resize]},
                    {'type': 'PackDetInputs'},
                )
            ]
        )
        raw = pseudo_collate([pipeline(copy.deepcopy(info))])
        return make_model().data_preprocessor(raw, training=True)

    small = subnet_batch(make_model(), **batch(1.0), list_sizes=HALF).data_samples[0]
    native = batch(0.5)['data_samples'][0]
    assert len(native.proposals) == 3
    torch.testing.assert_close(small.proposals.bboxes, native.proposals.bboxes)
    torch.testing.assert_close(small.proposals.scores, native.proposals.scores)
    torch.testing.assert_close(small.gt_instances.bboxes, native.gt_instances.bboxes)


def test_fixed_padding_is_not_resized_but_made_anew():
    pad = {'type': 'BatchFixedSizePad', 'size': (160, 160), 'pad_mask': True, 'pad_seg': True}
    padded, plain = make_model([pad], **PADDING), make_model(**PADDING)
    raw = raw_batch('masks', 'sem_seg')
    main = padded.data_preprocessor(copy.deepcopy(raw), training=True)
    assert main['inputs'].shape[-2:] == (160, 160)
    assert isinstance(padded.data_preprocessor.batch_augments[0], BatchFixedSizePad)
    ours = subnet_batch(padded, **main, list_sizes=HALF)
    main = plain.data_preprocessor(copy.deepcopy(raw), training=True)
    theirs = subnet_batch(plain, **main, list_sizes=HALF)
    assert ours.inputs.shape[-2:] == (64, 64)
    assert torch.equal(ours.inputs, theirs.inputs)
    for our, their in zip(ours.data_samples, theirs.data_samples, strict=True):
        assert np.array_equal(our.gt_instances.masks.masks, their.gt_instances.masks.masks)
        assert torch.equal(our.gt_sem_seg.sem_seg, their.gt_sem_seg.sem_seg)
        assert our.metainfo == their.metainfo


def test_resized_batch_is_resized_once_more(monkeypatch):
    model = make_model(
        [{'type': 'BatchSyncRandomResize', 'random_size_range': (64, 64)}], **PADDING
    )
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 9)  # after every tenth iteration, the augmentation draws a size
    model.data_preprocessor(raw_batch(), training=True)
    main = model.data_preprocessor(raw_batch(), training=True)
    assert main['inputs'].shape[-2:] == (64, 64)
    assert [sample.img_shape for sample in main['data_samples']] == [(50, 40), (32, 60)]
    monkeypatch.setattr(BatchSyncRandomResize, 'forward', None)
    small = subnet_batch(model, **main, list_sizes=lambda _: [(25, 30)])
    assert [sample.img_shape for sample in small.data_samples] == [(25, 20), (16, 30)]
    assert small.inputs.shape[-2:] == (32, 32)
    for sample, ours in zip(main['data_samples'], small.data_samples, strict=True):
        assert torch.equal(ours.gt_instances.bboxes, sample.gt_instances.bboxes / 2)
    image = main['inputs'][:1, :, :50, :40]
    expected = torch.nn.functional.interpolate(image, size=(25, 20), mode='bilinear')[0]
    torch.testing.assert_close(small.inputs[0, :, :25, :20], expected)
    assert (small.inputs[0, :, 25:] == 114).all()
