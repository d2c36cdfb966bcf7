"""Masks and semantic maps of a subnet are what mmdet's own pipeline gives at that size."""

import copy
from functools import partial

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmdet.models import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS, TRANSFORMS
from mmengine.structures import InstanceData, PixelData
from preprocessed import Preprocessed

from mmst.core import Draw, sample_size
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput

SIZES = [(120, 160), (120, 200), (150, 120)]
# As ids of segments: 0 is void, 1 to 3 are things, the rest is stuff.
CATEGORIES = {1: 0, 2: 3, 3: 1, 4: 6, 5: 8}
PADDING = {'pad_mask': True, 'pad_seg': True, 'seg_pad_value': 254}


def make_model(**settings):
    return Preprocessed(DetDataPreprocessor(pad_size_divisor=32, **settings))


def ellipse(rng, height, width):
    """A polygon as COCO has it: x, y, x, y, ..."""
    centre = rng.uniform(0.25, 0.75, 2) * (width, height)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    radius = rng.uniform(8, 30, 2)
    points = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.clip(points, 0, (width - 1, height - 1)).ravel().tolist()


def annotated_image(folder, height, width, seed):
    """A data info as mmdet's data sets give it, with polygons and a panoptic map."""
    rng = np.random.default_rng(seed)
    image, panoptic = folder / f'{seed}.png', folder / f'{seed}_panoptic.png'
    mmcv.imwrite(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), str(image))
    polygons = [ellipse(rng, height, width) for _ in range(4)]
    segments = np.zeros((height, width), np.uint8)
    segments[height // 3 :], segments[: height // 4, width // 2 :] = 4, 5
    for segment, polygon in enumerate(polygons[:3], start=1):
        cv2.fillPoly(segments, [np.int32(polygon).reshape(-1, 2)], segment)
    channels = [np.zeros_like(segments), np.zeros_like(segments), segments]  # BGR: the id is in R
    mmcv.imwrite(np.stack(channels, axis=-1), str(panoptic))
    boxes = [np.array(polygon).reshape(-1, 2) for polygon in polygons]
    return {
        'img_path': str(image),
        'img_id': seed,
        'height': height,
        'width': width,
        'seg_map_path': str(panoptic),
        'segments_info': [
            {'id': segment, 'category': category, 'is_thing': segment < 4}
            for segment, category in CATEGORIES.items()
        ],
        'instances': [
            {
                'bbox': [*points.min(axis=0), *points.max(axis=0)],
                'bbox_label': label,
                'ignore_flag': int(label == 3),
                'mask': [polygon, [10.0, 10, 30, 12, 20, 25]],
            }
            for label, (points, polygon) in enumerate(zip(boxes, polygons, strict=True))
        ],
    }


INSTANCES = {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True}
PANOPTIC = {'type': 'LoadPanopticAnnotations'}


def pipeline_batch(model, infos, scale, load):
    """Returns the batch that mmdet's pipeline and preprocessor make of the images at a scale."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'LoadImageFromFile', 'to_float32': True},
                load,
                # Before the resize: nearest pixels of a flipped map are not those of the map.
                {'type': 'RandomFlip', 'prob': 1.0},
                {'type': 'Resize', 'scale': scale, 'keep_ratio': True},
                {'type': 'PackDetInputs'},
            )
        ]
    )
    raw = pseudo_collate([pipeline(copy.deepcopy(info)) for info in infos])
    return model.data_preprocessor(raw, training=True)


def main_and_native(model, infos, load, step):
    """The main network's batch, the subnet's, and that of the pipeline at the subnet's size."""
    if load is PANOPTIC:  # its three things are its instances
        infos = [{**info, 'instances': info['instances'][:3]} for info in infos]
    main = pipeline_batch(model, infos, (10_000, 120), load)
    list_sizes = partial(RandomSmallerInput(0.43).sizes, draw=Draw(0, step))
    small = subnet_batch(model, **main, list_sizes=list_sizes)
    ratio = min(sample_size((150, 200), 0.43, seed=0, step=step)) / 150
    assert ratio < 1
    return main, small, pipeline_batch(model, infos, ratio, load)


def assert_same_masks(ours, theirs):
    assert type(ours) is type(theirs)
    assert len(ours) == len(theirs)
    assert (ours.height, ours.width) == (theirs.height, theirs.width)
    if isinstance(ours, BitmapMasks):
        assert ours.masks.dtype == theirs.masks.dtype
        assert ours.masks.shape == theirs.masks.shape
        assert np.array_equal(ours.masks, theirs.masks)
        return
    for our_parts, their_parts in zip(ours.masks, theirs.masks, strict=True):
        for our_part, their_part in zip(our_parts, their_parts, strict=True):
            np.testing.assert_allclose(our_part, their_part, rtol=1e-12)


@pytest.fixture
def infos(tmp_path):
    return [annotated_image(tmp_path, *size, seed) for seed, size in enumerate(SIZES)]


@pytest.mark.parametrize('step', [1, 4, 6])
@pytest.mark.parametrize('pad_mask', [True, False])
@pytest.mark.parametrize('poly2mask', [True, False])
def test_instance_masks_are_what_the_pipeline_gives(infos, step, pad_mask, poly2mask):
    model = make_model(pad_mask=pad_mask)
    load = {**INSTANCES, 'poly2mask': poly2mask}
    main, small, native = main_and_native(model, infos, load, step)
    before = copy.deepcopy(main['data_samples'])
    for ours, theirs in zip(small.data_samples, native['data_samples'], strict=True):
        for field in ('gt_instances', 'ignored_instances'):
            assert len(ours.get(field)) == len(theirs.get(field)) > 0
            assert_same_masks(ours.get(field).masks, theirs.get(field).masks)
        if poly2mask:
            assert ours.gt_instances.masks.masks.any()
            ours.gt_instances.masks.masks[:] = 7  # of a copy
    for kept, sample in zip(before, main['data_samples'], strict=True):
        assert_same_masks(kept.gt_instances.masks, sample.gt_instances.masks)


@pytest.mark.parametrize('padding', [PADDING, {}])
@pytest.mark.parametrize('step', [1, 4])
def test_panoptic_ground_truth_is_what_the_pipeline_gives(infos, step, padding):
    model = make_model(**padding)
    _, small, native = main_and_native(model, infos, PANOPTIC, step)
    for ours, theirs in zip(small.data_samples, native['data_samples'], strict=True):
        assert_same_masks(ours.gt_instances.masks, theirs.gt_instances.masks)
        assert torch.equal(ours.gt_sem_seg.sem_seg, theirs.gt_sem_seg.sem_seg)
        assert ours.gt_sem_seg.sem_seg.dtype == theirs.gt_sem_seg.sem_seg.dtype
        assert ours.gt_sem_seg.metainfo == theirs.gt_sem_seg.metainfo
        labels = set(ours.gt_sem_seg.sem_seg.unique().tolist())
        assert {6, 8, 255} <= labels, 'the map is trivial'
        assert (254 in labels) == bool(padding)


def one_image(boxes, masks=None):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    sample = DetDataSample(metainfo={'img_shape': (64, 64), 'batch_input_shape': (64, 64)})
    fields = {} if masks is None else {'masks': masks}
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.arange(len(boxes)), **fields)
    return sample


def halve(sample, **settings):
    smallest = RandomSmallerInput(0.5).smallest_sizes
    return subnet_batch(
        make_model(**settings), torch.randn(1, 3, 64, 64), [sample], smallest
    ).data_samples[0]


BOXES = [[0.0, 0, 10, 1.5], [4, 4, 20, 24], [8, 8, 9, 40], [30, 30, 60, 62]]


@pytest.mark.parametrize('kind', ['bitmap', 'polygon'])
@pytest.mark.parametrize(('boxes', 'kept'), [(BOXES, [1, 3]), (BOXES[::2], [0])])
def test_masks_of_dropped_boxes_are_dropped(kind, boxes, kept):
    if kind == 'bitmap':
        array = np.zeros((len(boxes), 64, 64), np.uint8)
        for mask, (left, top, right, bottom) in zip(array, np.int64(boxes), strict=True):
            mask[top : bottom + 1, left : right + 1] = 1
        masks = BitmapMasks(array, 64, 64)
    else:
        corners = [np.array([x, y, X, y, X, Y, x, Y]) for x, y, X, Y in boxes]
        masks = PolygonMasks([[polygon] for polygon in corners], 64, 64)
    small = halve(one_image(boxes, masks)).gt_instances
    assert small.labels.tolist() == kept
    assert small.bboxes.tolist() == [[side / 2 for side in boxes[i]] for i in kept]
    assert len(small.masks) == len(kept)
    assert (small.masks.height, small.masks.width) == (32, 32)
    assert_same_masks(small.masks, masks[kept].resize((32, 32)))


def pixels(*coordinates):
    """A mask of such pixels (row, column)."""
    mask = np.zeros((64, 64), np.uint8)
    mask[tuple(np.transpose(coordinates))] = 1
    return mask


FULL = [(row, column) for row in range(30, 60) for column in range(30, 60)]
# The nearest pixels of half the size are the even ones.
THIN = [(21, column) for column in range(11, 15)]
CASES = {
    'empty mask of a larger box': (
        [([10, 20, 14, 22.5], THIN), ([30, 30, 60, 60], FULL)],
        ([1], None),
    ),
    'the largest with a mask is left': (
        [([10, 20, 14, 22.5], THIN), ([2, 2, 3.2, 5], [(2, 2)]), ([4, 4, 5.5, 5.5], [(4, 4)])],
        ([2], [(2, 2)]),
    ),
    'the largest is left with a pixel at its centre': (
        [([3, 3, 4, 4], [(3, 3)]), ([10, 20, 14, 22.5], THIN)],
        ([1], [(10, 6)]),
    ),
    'the pixel of a box at the border lies in the image': (
        [([61, 61, 64, 64], [(63, 63)]), ([63, 10, 66, 13], [(11, 63)])],
        ([0], [(31, 31)]),
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_objects_whose_mask_becomes_empty_are_dropped_but_for_the_largest(case):
    objects, (kept, drawn) = CASES[case]
    boxes = [box for box, _ in objects]
    sample = one_image(boxes, BitmapMasks([pixels(*mask) for _, mask in objects], 64, 64))
    sample.ignored_instances = copy.deepcopy(sample.gt_instances)
    before = copy.deepcopy(sample.gt_instances.masks)
    small = halve(sample)
    ours = small.gt_instances
    assert ours.labels.tolist() == kept
    assert ours.bboxes.tolist() == [pytest.approx([side / 2 for side in boxes[i]]) for i in kept]
    assert [mask.any() for mask in ours.masks.masks] == [True]
    if drawn:
        assert np.argwhere(ours.masks.masks[0]).tolist() == [list(pixel) for pixel in drawn]
    assert_same_masks(sample.gt_instances.masks, before)
    wide = [i for i, (x, y, X, Y) in enumerate(boxes) if min(X - x, Y - y) >= 2]
    assert small.ignored_instances.labels.tolist() == wide


def test_what_fills_the_main_input_fills_that_of_a_subnet():
    """Some heads compare masks with whole feature maps; no padding of the main batch tells how."""
    array = np.arange(64 * 64).reshape(1, 64, 64).astype(np.uint8) % 5
    sample = one_image([[0.0, 0, 60, 60]], BitmapMasks(array, 64, 64))
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(array) % 3)
    model = make_model(seg_pad_value=9)
    model.data_preprocessor.pad_size_divisor = 1
    small = subnet_batch(model, torch.randn(1, 3, 64, 64), [sample], lambda _: [(24, 24)])
    assert small.inputs.shape[-2:] == (32, 32)
    ours = small.data_samples[0]
    assert_same_masks(
        ours.gt_instances.masks, BitmapMasks(array, 64, 64).resize((24, 24)).pad((32, 32))
    )
    assert ours.gt_sem_seg.sem_seg.shape == (1, 32, 32)
    assert set(ours.gt_sem_seg.sem_seg[:, :24, :24].unique().tolist()) == {0, 1, 2}
    assert (ours.gt_sem_seg.sem_seg[:, 24:] == 9).all()
    assert (ours.gt_sem_seg.sem_seg[:, :, 24:] == 9).all()


def test_mask_values_and_padding_values_are_kept():
    array = np.zeros((3, 64, 64), np.uint8)
    array[0, 5:9, 7:20], array[1, 20:24, 30:34] = 3, 1
    array[2, 49, 39] = 1  # not on the half grid: there is nothing but padding
    masks = BitmapMasks(array, 64, 64)
    sample = one_image([*BOXES[1::2], BOXES[3]], masks)
    sample.set_metainfo({'img_shape': (50, 40)})
    smallest = RandomSmallerInput(0.5).smallest_sizes
    settings = {'pad_mask': True, 'mask_pad_value': 9}
    small = subnet_batch(make_model(**settings), torch.randn(1, 3, 64, 64), [sample], smallest)
    expected = BitmapMasks(array[:2, :50, :40].copy(), 50, 40).resize((25, 20))
    ours = small.data_samples[0].gt_instances.masks
    assert_same_masks(ours, expected.pad((32, 32), pad_val=9))
    assert ours.masks[0].max() == 9
    assert 3 in ours.masks[0]


def test_masks_left_behind_by_a_batch_augmentation_are_refused():
    sample = one_image(BOXES, BitmapMasks(np.zeros((4, 32, 32), np.uint8), 32, 32))
    with pytest.raises(ValueError, match=r'at least as large as its image, got \(32, 32\)'):
        halve(sample)


def test_masks_of_an_unknown_kind_are_refused():
    with pytest.raises(TypeError, match='masks must be BitmapMasks or PolygonMasks, got Tensor'):
        halve(one_image(BOXES, torch.zeros(4, 64, 64)))


CONFIGS = {
    'mask_rcnn': 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'panoptic_fpn': 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
}


@pytest.fixture(params=CONFIGS)
def segmenter(request):
    """mmdet's Mask R-CNN or Panoptic FPN with ResNet-18, and how its ground truth is loaded."""
    model = get_config(CONFIGS[request.param]).model
    model.backbone.update(type='mmst.STBackbone', wraps='ResNet', depth=18, frozen_stages=-1)
    model.backbone.update(init_cfg=None, choices=(2, 2, 2, 2), zero_init_residual=False)
    model.neck.in_channels = [64, 128, 256, 512]
    model.roi_head.bbox_head.fc_out_channels = 64
    model.train_cfg.rpn_proposal.update(nms_pre=64, max_per_img=16)
    model.train_cfg.rcnn.sampler.num = 16
    model.train_cfg.rpn.sampler.num = 32
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.init_weights()
    return model.train(), INSTANCES if request.param == 'mask_rcnn' else PANOPTIC


def test_subnet_of_a_real_model_learns_what_the_pipeline_gives(segmenter, infos, train_on, loss_of):
    model, load = segmenter
    _, small, native = main_and_native(model, infos, load, step=4)
    full, idle = train_on(model, small, depths=(2, 2, 2, 2))
    assert not idle
    expected = loss_of(model, native)
    assert {'loss', 'loss_mask'} <= set(full) == set(expected)
    assert ('loss_seg' in full) == (load is PANOPTIC)
    for name, value in expected.items():
        torch.testing.assert_close(full[name], value, rtol=1e-4, atol=1e-4, msg=name)
    values, idle = train_on(model, small, depths=(1, 2, 2, 1))
    assert torch.isfinite(values['loss'])
    assert values['loss'] != full['loss']
    assert {name.split('.')[1] for name in idle} == {'layer1', 'layer4'}
