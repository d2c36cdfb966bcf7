"""The batch of a subnet is what mmdet's own pipeline gives at that size."""

import copy
import math
from functools import partial

import mmcv
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.testing import demo_mm_inputs
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import TRANSFORMS
from mmengine.structures import InstanceData
from preprocessed import Preprocessed

from mmst.core import Draw, sample_size
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput
from mmst.ground_truth.fields import register_ground_truth


def make_model(divisor=32, **settings):
    from mmdet.models import DetDataPreprocessor

    preprocessor = DetDataPreprocessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=divisor,
        **settings,
    )
    return Preprocessed(preprocessor)


def annotated_image(path, height, width, seed):
    """A data info as CocoDataset gives it; the image is stored as a file of float pixels."""
    rng = np.random.default_rng(seed)
    mmcv.imwrite(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), str(path))
    corners = rng.uniform(0, 0.8, (6, 2)) * (width, height)
    sizes = rng.uniform(4, 40, (6, 2))
    boxes = np.concatenate([corners, np.minimum(corners + sizes, (width, height))], axis=1)
    return {
        'img_path': str(path),
        'img_id': seed,
        'height': height,
        'width': width,
        'instances': [
            {'bbox': box.tolist(), 'bbox_label': label % 5, 'ignore_flag': int(label == 5)}
            for label, box in enumerate(boxes)
        ],
    }


def pipeline_batch(model, infos, scale):
    """Returns mmdet's preprocessed batch of the images at a (long, short) scale."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'LoadImageFromFile', 'to_float32': True},
                {'type': 'LoadAnnotations', 'with_bbox': True},
                {'type': 'Resize', 'scale': scale, 'keep_ratio': True},
                {'type': 'RandomFlip', 'prob': 1.0},
                {'type': 'PackDetInputs'},
            )
        ]
    )
    raw = pseudo_collate([pipeline(copy.deepcopy(info)) for info in infos])
    return model.data_preprocessor(raw, training=True)


@pytest.fixture
def infos(tmp_path):
    sizes = [(120, 160), (120, 200), (150, 120)]
    return [
        annotated_image(tmp_path / f'{index}.png', *size, index) for index, size in enumerate(sizes)
    ]


@pytest.mark.parametrize('step', [1, 4, 6])
def test_smaller_batch_is_what_the_pipeline_gives_at_that_size(infos, step):
    model = make_model(pad_value=0)
    main = pipeline_batch(model, infos, (10_000, 120))
    assert main['data_samples'][0].img_shape == (120, 160)
    # Each image's shorter side is 120; the batch's reference is the box that holds all, 150 x 200.
    list_sizes = partial(RandomSmallerInput(0.43).sizes, draw=Draw(0, step))
    small = subnet_batch(model, **main, list_sizes=list_sizes)
    ratio = min(sample_size((150, 200), 0.43, seed=0, step=step)) / 150
    native = pipeline_batch(model, infos, ratio)

    assert small.inputs.shape == native['inputs'].shape != main['inputs'].shape
    torch.testing.assert_close(small.inputs, native['inputs'], atol=1e-4, rtol=0)
    assert_same_samples(small.data_samples, native['data_samples'])


def assert_same_samples(samples, others):
    for ours, theirs in zip(samples, others, strict=True):
        for key in ('img_shape', 'pad_shape', 'batch_input_shape', 'ori_shape'):
            assert tuple(ours.get(key)) == tuple(theirs.get(key)), key
        assert ours.scale_factor == pytest.approx(theirs.scale_factor)
        assert set(ours.metainfo_keys()) == set(theirs.metainfo_keys())
        for field in ('gt_instances', 'ignored_instances'):
            assert len(ours.get(field)) == len(theirs.get(field)) > 0
            torch.testing.assert_close(ours.get(field).bboxes, theirs.get(field).bboxes)
            assert torch.equal(ours.get(field).labels, theirs.get(field).labels)


@pytest.mark.parametrize(
    ('height', 'padded_heights'),
    [(96, (96, 96, 64)), (97, (97, 97, 65)), (100, (100, 80, 52)), (99, (99, 77, 51))],
)
def test_without_a_divisor_sides_are_padded_to_the_main_ones_remainder(
    tmp_path, height, padded_heights
):
    model = make_model(divisor=1, pad_value=7)
    infos = [annotated_image(tmp_path / f'{seed}.png', height, 160, seed) for seed in (0, 1)]
    main = pipeline_batch(model, infos, (10_000, height))
    for new_height, padded_height in zip((height - 1, 77, 50), padded_heights, strict=True):
        small = subnet_batch(model, **main, list_sizes=lambda _, s=new_height: [(s, 160)])
        (width,) = {width for _, width in small.sizes_hw}
        assert tuple(small.inputs.shape[-2:]) == (padded_height, math.ceil(width / 32) * 32)
        if height == 96:
            native = pipeline_batch(make_model(pad_value=7), infos, new_height / height)
            torch.testing.assert_close(small.inputs, native['inputs'], atol=1e-4, rtol=0)
            assert_same_samples(small.data_samples, native['data_samples'])
        else:
            assert (small.inputs[..., width:] == 7).all()
            assert (small.inputs[..., new_height:, :] == 7).all()


def one_image(boxes, **fields):
    boxes = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    sample = DetDataSample(metainfo={'img_shape': (64, 64), 'batch_input_shape': (64, 64)})
    labels = torch.arange(len(boxes))
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels, **fields)
    sample.ignored_instances = InstanceData(bboxes=boxes.clone(), labels=labels.clone())
    return sample


def halve(sample, model=None):
    images = torch.randn(1, 3, 64, 64)
    batch = subnet_batch(
        model or make_model(), images, [sample], RandomSmallerInput(0.5).smallest_sizes
    )
    return batch.data_samples[0]


def test_boxes_that_fall_under_one_pixel_are_dropped():
    sample = one_image([[0, 0, 10, 1.9], [0, 0, 1.9, 10], [4, 4, 6, 6], [0, 0, 64, 64]])
    small = halve(sample)
    assert small.gt_instances.labels.tolist() == [2, 3]
    assert small.gt_instances.bboxes.tolist() == [[2, 2, 3, 3], [0, 0, 32, 32]]
    assert small.ignored_instances.labels.tolist() == [2, 3]
    assert sample.gt_instances.labels.tolist() == [0, 1, 2, 3], 'the main ground truth changed'
    assert sample.gt_instances.bboxes[3].tolist() == [0, 0, 64, 64]
    assert sample.img_shape == (64, 64)


def test_last_box_of_an_image_is_kept_however_small():
    sample = one_image([[0, 0, 60, 1], [8, 8, 9.5, 9.9], [0, 0, 1.2, 40]])
    small = halve(sample)
    assert small.gt_instances.bboxes.tolist() == [[4, 4, 4.75, pytest.approx(4.95)]]
    assert small.gt_instances.labels.tolist() == [1]
    assert len(small.ignored_instances) == 0
    assert len(sample.gt_instances) == len(sample.ignored_instances) == 3


def test_image_without_boxes_stays_one(make_detector, batch):
    model = make_detector()
    data = batch(model, (0, 4))
    small = subnet_batch(model, **data, list_sizes=RandomSmallerInput(0.5).smallest_sizes)
    assert all(len(sample.gt_instances) == 0 for sample in small.data_samples)
    losses = model.forward(small.inputs, small.data_samples, mode='loss')
    loss, _ = model.parse_losses(losses)
    assert torch.isfinite(loss)
    assert losses['loss_bbox'] == 0


@pytest.mark.parametrize(
    ('scale_factor', 'expected'),
    [
        (1.0, (0.5, 0.5)),
        (2, (1.0, 1.0)),
        ((1.0, 3.0), (0.5, 1.5)),
        ([1.0, 3.0], (0.5, 1.5)),
        (np.array([1.0, 3.0, 1.0, 3.0]), (0.5, 1.5, 0.5, 1.5)),
        (np.float32(3), (1.5, 1.5)),
    ],
)
def test_metainfo_of_any_form_is_resized(scale_factor, expected):
    sample = one_image([[0, 0, 10, 20]])
    sample.set_metainfo({'scale_factor': scale_factor, 'img_shape': (64, 64, 3)})
    small = halve(sample)
    assert small.scale_factor == expected
    assert small.img_shape == (32, 32, 3)
    assert 'pad_shape' not in small


def test_samples_of_mmdets_own_tests_are_taken():
    model, shapes = make_model(), [(3, 128, 96), (3, 100, 120)]
    raw = demo_mm_inputs(2, shapes, num_items=[3, 4], with_mask=True, with_semantic=True)
    data = model.data_preprocessor(raw, training=True)
    small = subnet_batch(model, **data, list_sizes=RandomSmallerInput(0.5).smallest_sizes)
    for sample, main, (_, height, width) in zip(
        small.data_samples, data['data_samples'], shapes, strict=True
    ):
        assert sample.img_shape == (height // 2, width // 2)
        assert sample.scale_factor == pytest.approx(main.scale_factor / 2)
        assert sample.border == main.border
        bboxes = main.gt_instances.bboxes
        bboxes = bboxes[(bboxes[:, 2:] - bboxes[:, :2] >= 2).all(dim=1)]
        assert len(bboxes) > 1
        torch.testing.assert_close(sample.gt_instances.bboxes, bboxes / 2)
        assert sample.gt_instances.masks.masks.shape[1:] == sample.img_shape
        semantic = main.gt_sem_seg.sem_seg[:, :height:2, :width:2]
        assert torch.equal(sample.gt_sem_seg.sem_seg, semantic)


def test_full_size_keeps_inputs_and_copies_ground_truth():
    sample = one_image([[0, 0, 0.5, 0.5]])
    images = torch.randn(1, 3, 64, 64)
    for list_sizes in (None, lambda size_hw: [size_hw]):
        same = subnet_batch(make_model(), images, [sample], list_sizes)
        assert same.inputs is images
        copied = same.data_samples[0].gt_instances.bboxes
        assert torch.equal(copied, sample.gt_instances.bboxes)
        assert copied is not sample.gt_instances.bboxes


def test_box_types_of_mmdet_are_kept():
    sample = one_image([[0, 0, 10, 20]])
    sample.gt_instances.bboxes = HorizontalBoxes(sample.gt_instances.bboxes)
    small = halve(sample)
    assert isinstance(small.gt_instances.bboxes, HorizontalBoxes)
    assert small.gt_instances.bboxes.tensor.tolist() == [[0, 0, 5, 10]]
    assert sample.gt_instances.bboxes.tensor.tolist() == [[0, 0, 10, 20]]


def test_unknown_field_is_named_with_the_remedy():
    sample = one_image([[0, 0, 10, 20]], centers=torch.ones(1, 2))
    message = (
        r"field 'gt_instances.centers' in a DetDataSample.*"
        r"@mmst.register_ground_truth\(DetDataSample, 'gt_instances.centers'\)"
    )
    with pytest.raises(ValueError, match=message):
        halve(sample)
    sample = one_image([[0, 0, 10, 20]])
    sample.my_field = torch.ones(1)
    with pytest.raises(ValueError, match="field 'my_field' in a DetDataSample"):
        halve(sample)


class CenterSample(DetDataSample):
    pass


def test_registered_field_follows_the_resize():
    plain = one_image([[0, 0, 10, 20], [0, 0, 1, 1]], centers=torch.tensor([[5.0, 10], [2, 2]]))
    sample = CenterSample(metainfo=plain.metainfo)
    sample.gt_instances = plain.gt_instances
    with pytest.raises(ValueError, match="got the field 'gt_instances.centers' in a CenterSample"):
        halve(sample)

    @register_ground_truth(CenterSample, 'gt_instances.centers')
    def resize_centers(centers, resize):
        return centers * centers.new_tensor(resize.factor_xy)

    assert halve(sample).gt_instances.centers.tolist() == [[2.5, 5]]


def test_sample_of_an_unknown_library_is_refused():
    with pytest.raises(
        TypeError, match=r'data_samples must be of a library.*mmdet.*builtins\.dict'
    ):
        subnet_batch(
            make_model(), torch.randn(1, 3, 8, 8), [{}], RandomSmallerInput().smallest_sizes
        )


def test_inputs_of_several_branches_are_refused():
    with pytest.raises(TypeError, match='inputs must be one tensor .* got dict'):
        subnet_batch(make_model(), {'sup': 1}, [one_image([])], RandomSmallerInput().smallest_sizes)
