"""The batch of a subnet is what mmseg's own pipeline gives at that size."""

import copy
from functools import partial

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS, TRANSFORMS, DefaultScope
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.models.utils import resize
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from preprocessed import Preprocessed
from torch import nn
from torch.nn import functional as F

from mmst.core import Draw, sample_size
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput

PADDING = {'pad_val': 1.5, 'seg_pad_val': 254}
FIELDS = ('gt_sem_seg', 'gt_edge_map', 'gt_depth_map')


@pytest.fixture(autouse=True)
def mmseg_scope(mmdet_scope):
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def make_model(**settings):
    preprocessor = SegDataPreProcessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        **PADDING,
        **settings,
    )
    return Preprocessed(preprocessor)


def annotated_image(folder, height, width, seed):
    """A data info as mmseg's data sets give it, with labels and depths in blocks and void."""
    rng = np.random.default_rng(seed)
    image, labels, depths = (folder / f'{seed}_{kind}.png' for kind in ('rgb', 'seg', 'depth'))
    blocks = rng.integers(0, 19, (height // 6 + 1, width // 9 + 1), dtype=np.uint8)
    mask = np.kron(blocks, np.ones((6, 9), np.uint8))[:height, :width]
    mask[: height // 5, : width // 3] = 255
    mmcv.imwrite(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), str(image))
    mmcv.imwrite(mask, str(labels))
    mmcv.imwrite(rng.integers(0, 9999, (height, width), dtype=np.uint16), str(depths))
    return {
        'img_path': str(image),
        'seg_map_path': str(labels),
        'depth_map_path': str(depths),
        'label_map': None,
        'reduce_zero_label': False,
        'seg_fields': [],
    }


def pipeline_batch(model, infos, scale, extra=()):
    """Returns the batch that mmseg's pipeline and preprocessor make of the images at a scale."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'LoadImageFromFile', 'to_float32': True},
                {'type': 'LoadAnnotations'},
                {'type': 'LoadDepthAnnotation', 'depth_rescale_factor': 1e-3},
                {'type': 'Resize', 'scale': scale, 'keep_ratio': True},
                *extra,
                {'type': 'PackSegInputs'},
            )
        ]
    )
    raw = pseudo_collate([pipeline(copy.deepcopy(info)) for info in infos])
    return model.data_preprocessor(raw, training=True)


@pytest.fixture
def infos(tmp_path):
    sizes = [(120, 160), (120, 200), (150, 120)]
    return [annotated_image(tmp_path, *size, seed) for seed, size in enumerate(sizes)]


def assert_same_batch(small, native, fields):
    assert small.inputs.shape == native['inputs'].shape
    torch.testing.assert_close(small.inputs, native['inputs'], atol=1e-4, rtol=0)
    for ours, theirs in zip(small.data_samples, native['data_samples'], strict=True):
        assert set(ours.metainfo_keys()) == set(theirs.metainfo_keys())
        for key in ('img_shape', 'pad_shape', 'padding_size', 'ori_shape', 'img_path'):
            assert ours.get(key) == theirs.get(key), key
            assert type(ours.get(key)) is type(theirs.get(key)), key
        assert ours.scale_factor == pytest.approx(theirs.scale_factor)
        for field in fields:
            our_map, their_map = ours.get(field).data, theirs.get(field).data
            assert our_map.dtype == their_map.dtype
            assert torch.equal(our_map, their_map), field
            assert len(our_map.unique()) > 10


@pytest.mark.parametrize(('divisor', 'width'), [(1, 199), (32, 200)])
@pytest.mark.parametrize('step', [1, 4, 6])
def test_smaller_batch_is_what_the_pipeline_gives_at_that_size(tmp_path, step, divisor, width):
    model = make_model(size_divisor=divisor)
    sizes = [(120, 160), (120, width), (151, 120)]
    infos = [annotated_image(tmp_path, *size, seed) for seed, size in enumerate(sizes)]
    main = pipeline_batch(model, infos, (10_000, 120))
    before = copy.deepcopy(main)
    # Each image's shorter side is 120; the batch's reference is the box that holds all.
    list_sizes = partial(RandomSmallerInput(0.43).sizes, draw=Draw(0, step))
    small = subnet_batch(model, **main, list_sizes=list_sizes)
    ratio = min(sample_size((151, width), 0.43, seed=0, step=step)) / 151
    # Without a divisor odd sides stay odd, for which mmseg has no other setting than a size.
    native_model = model if divisor > 1 else make_model(size=tuple(small.inputs.shape[-2:]))
    assert all(
        0 <= new - old < divisor + 1
        for new, old in zip(small.inputs.shape[-2:], small.image_hw, strict=True)
    )
    native = pipeline_batch(native_model, infos, tuple(side * ratio for side in (10_000, 120)))
    assert small.inputs.shape != main['inputs'].shape
    assert_same_batch(small, native, ('gt_sem_seg', 'gt_depth_map'))
    for kept, sample in zip(before['data_samples'], main['data_samples'], strict=True):
        assert torch.equal(kept.gt_sem_seg.data, sample.gt_sem_seg.data)
        assert kept.img_shape == sample.img_shape


@pytest.mark.parametrize('settings', [{'size': (96, 128)}, {'size_divisor': 1}])
def test_crops_that_the_network_halves_are_padded_to_such_sizes(tmp_path, settings):
    model, native_model = make_model(**settings), make_model(size_divisor=32)
    infos = [annotated_image(tmp_path, 96, 128, seed) for seed in (0, 1)]
    main = pipeline_batch(model, infos, (128, 96))
    for width in (127, 90, 55):
        height = int(width * 0.75 + 0.5)
        small = subnet_batch(model, **main, list_sizes=lambda _, size=(height, width): [size])
        native = pipeline_batch(native_model, infos, small.sizes_hw[0][::-1])
        assert_same_batch(small, native, ('gt_sem_seg', 'gt_depth_map'))
        assert small.inputs.shape[-1] > width and small.inputs.shape[-1] % 32 == 0


def test_fixed_size_of_the_crops_shrinks_with_them(infos):
    main_model, native_model = make_model(size=(160, 240)), make_model(size=(96, 128))
    main = pipeline_batch(main_model, infos, (10_000, 120))
    assert main['inputs'].shape[-2:] == (160, 240)
    small = subnet_batch(main_model, **main, list_sizes=RandomSmallerInput(0.5).smallest_sizes)
    native = pipeline_batch(native_model, infos, (5_000, 60))
    assert_same_batch(small, native, ('gt_sem_seg', 'gt_depth_map'))
    assert small.data_samples[0].gt_sem_seg.data[0, -1, -1] == 254


def test_heads_that_align_corners_find_each_pixel_of_an_odd_crop():
    """A cell's position, resized as mmseg resizes predictions, is that of the pixel under it."""
    config = get_config('mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-769x769.py').model
    assert config.decode_head.align_corners
    model, halve = nn.Module(), nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False)
    model.data_preprocessor = MODELS.build(config.data_preprocessor)
    nn.init.dirac_(halve.weight)  # the value under the centre of the kernel
    sample = SegDataSample(metainfo={'img_shape': (769, 769), 'pad_shape': (769, 769)})
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 769, 769, dtype=torch.uint8))
    for side in (769, 761, 512, 400, 331):
        small = subnet_batch(
            model, torch.zeros(1, 3, 769, 769), [sample], lambda _, side=side: [(side, side)]
        )
        labels = small.data_samples[0].gt_sem_seg.data
        assert labels.shape[-2:] == small.inputs.shape[-2:]
        column = torch.arange(labels.shape[-1], dtype=torch.float32).expand(1, 1, *labels.shape[1:])
        with torch.no_grad():
            cells = halve(halve(halve(column)))  # the backbone's stride is 8
        found = resize(cells, labels.shape[-2:], mode='bilinear', align_corners=True)
        torch.testing.assert_close(found, column, atol=1e-2, rtol=0)


def test_crops_of_any_size_keep_their_size_but_for_a_pixel(infos):
    model = make_model(size=(95, 111))
    crop = {'type': 'RandomCrop', 'crop_size': (95, 111)}
    main = pipeline_batch(model, infos, (10_000, 120), extra=[crop])
    assert main['inputs'].shape[-2:] == (95, 111)
    for step in range(8):
        list_sizes = partial(RandomSmallerInput(0.43).sizes, draw=Draw(0, step))
        small = subnet_batch(model, **main, list_sizes=list_sizes)
        height, width = (side + 1 - side % 2 for side in small.image_hw)  # odd as the main ones
        assert tuple(small.inputs.shape[-2:]) == (height, width)
        padding = (0, width - small.image_hw[1], 0, height - small.image_hw[0])
        assert all(sample.padding_size == padding for sample in small.data_samples)


def native_edges(labels, height, width):
    """The boundaries of a map of labels (1, H, W) that mmseg's own transform draws."""
    transform = TRANSFORMS.build({'type': 'GenerateEdge', 'edge_width': 1})
    labels = labels[0, :height, :width].numpy()
    edges = transform({'img_shape': (height, width), 'gt_seg_map': labels})['gt_edge_map']
    return torch.from_numpy(edges)[None].float()


def test_boundaries_stay_connected_and_get_thinner(infos):
    model = make_model(size_divisor=32)
    edges = {'type': 'GenerateEdge', 'edge_width': 1}
    main = pipeline_batch(model, infos, (10_000, 120), extra=[edges])
    small = subnet_batch(model, **main, list_sizes=RandomSmallerInput(0.5).smallest_sizes)
    for sample, ours in zip(main['data_samples'], small.data_samples, strict=True):
        (height, width), (new_height, new_width) = sample.img_shape, ours.img_shape
        assert (height, width) == (2 * new_height, 2 * new_width)
        new = ours.gt_edge_map.data
        assert new.dtype == torch.int64
        assert new.shape == ours.gt_sem_seg.data.shape
        # The pipeline would draw new ones on the small map; ours are at most a pixel aside.
        theirs = F.max_pool2d(native_edges(ours.gt_sem_seg.data, new_height, new_width), 3, 1, 1)
        found = new[:, :new_height, :new_width].bool() & theirs.bool()
        assert found.sum() > 0.98 * new[:, :new_height, :new_width].sum()
        # At half size, a pixel shows 2 x 2 pixels, of which one is enough.
        image = sample.gt_edge_map.data[:, :height, :width]
        expected = F.max_pool2d(image.float(), 2).long()
        assert 0 < expected.float().mean() < 1
        assert torch.equal(new[:, :new_height, :new_width], expected)
        assert (new[:, new_height:] == 254).all()
        assert (new[:, :, new_width:] == 254).all()


def test_unknown_map_is_named_with_the_remedy(infos):
    model = make_model(size_divisor=32)
    main = pipeline_batch(model, infos, (10_000, 120))
    main['data_samples'][1].gt_flow = main['data_samples'][1].gt_sem_seg
    with pytest.raises(ValueError, match=r"field 'gt_flow.data' in a SegDataSample.*@mmst"):
        subnet_batch(model, **main, list_sizes=RandomSmallerInput(0.5).smallest_sizes)


@pytest.fixture
def segmenter():
    """mmseg's FPN for Cityscapes with ResNet-18."""
    model = get_config('mmseg::sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024.py').model
    norm = {'type': 'BN', 'requires_grad': True}
    model.update(pretrained=None)
    model.data_preprocessor.update(size=(128, 160))
    model.backbone.update(type='mmst.STBackbone', wraps='ResNetV1c', depth=18, norm_cfg=norm)
    model.neck.in_channels = [64, 128, 256, 512]
    model.decode_head.update(norm_cfg=norm, dropout_ratio=0)
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.init_weights()
    return model.train()


def test_subnet_of_a_real_model_learns_what_the_pipeline_gives(
    segmenter, tmp_path, train_on, loss_of
):
    infos = [annotated_image(tmp_path, 128, 160, seed) for seed in (1, 2)]
    main = pipeline_batch(segmenter, infos, (160, 128))
    small = subnet_batch(segmenter, **main, list_sizes=RandomSmallerInput(0.5).smallest_sizes)
    segmenter.data_preprocessor.size = (64, 96)
    native = pipeline_batch(segmenter, infos, (80, 64))
    full, idle = train_on(segmenter, small, depths=(2, 2, 2, 2))
    assert not idle
    expected = loss_of(segmenter, native)
    assert 'decode.loss_ce' in full
    for name, value in expected.items():
        torch.testing.assert_close(full[name], value, rtol=1e-4, atol=1e-4, msg=name)
    values, idle = train_on(segmenter, small, depths=(1, 2, 2, 1))
    assert torch.isfinite(values['loss'])
    assert {name.split('.')[1] for name in idle} == {'layer1', 'layer4'}


def test_sample_without_ground_truth_keeps_its_metainfo():
    metainfo = {'img_shape': torch.Size((64, 64)), 'pad_shape': None}  # as mmseg's preprocessor
    sample = SegDataSample(metainfo={**metainfo, 'reduce_zero_label': True})
    small = subnet_batch(
        make_model(size_divisor=32),
        torch.randn(1, 3, 64, 64),
        [sample],
        RandomSmallerInput(0.5).smallest_sizes,
    )
    assert small.data_samples[0].img_shape == torch.Size((32, 32))
    assert small.data_samples[0].pad_shape == (32, 32)
    assert small.data_samples[0].reduce_zero_label


def test_smaller_images_in_a_canvas_are_crops_that_mmseg_pads(infos):
    model, native_model = make_model(size_divisor=32), make_model(size=(128, 192))
    main = pipeline_batch(model, infos, (10_000, 120))
    native_model.data_preprocessor.size = tuple(main['inputs'].shape[-2:])
    rule = RandomSmallerInput(0.5)
    small = subnet_batch(model, **main, list_sizes=rule.smallest_sizes, keeps_canvas=True)
    native = pipeline_batch(native_model, infos, (5_000, 60))
    assert small.inputs.shape == main['inputs'].shape
    assert_same_batch(small, native, ('gt_sem_seg', 'gt_depth_map'))
    assert (small.data_samples[0].gt_sem_seg.data[:, 60:] == 254).all()
