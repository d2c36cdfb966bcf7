"""The ground truth of a subnet is what mmpose's codecs encode for the smaller image."""

import copy

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS, TRANSFORMS
from mmengine.structures import PixelData
from mmpose.models import PoseDataPreprocessor
from mmpose.registry import KEYPOINT_CODECS
from preprocessed import Preprocessed

from mmst.engine.batch import subnet_batch
from mmst.ground_truth.pose_heatmaps import encode_msra, register_heatmap_codec

KEYPOINTS = 17
SIZE = (128, 192)  # width, height, as everywhere in mmpose
MSRA = {'type': 'MSRAHeatmap', 'input_size': SIZE, 'heatmap_size': (32, 48), 'sigma': 2.0}
DARK = {**MSRA, 'unbiased': True}
UDP = {**MSRA, 'type': 'UDPHeatmap'}
REGRESSION = {'type': 'RegressionLabel', 'input_size': SIZE}
SIMCC = {'type': 'SimCCLabel', 'input_size': SIZE, 'sigma': 6.0}


pytestmark = pytest.mark.usefixtures('mmpose_scope')


def make_model(codec, pad_size_divisor=4):
    preprocessor = PoseDataPreprocessor(pad_size_divisor=pad_size_divisor)
    return Preprocessed(preprocessor, codec and KEYPOINT_CODECS.build(codec))


@pytest.fixture
def infos(tmp_path):
    """Data infos as mmpose's data sets give them, some keypoints unlabelled or out of the box.

    Those of the last one leave the input on the right, where one size sees what another does not.
    """
    infos = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        path = str(tmp_path / f'{seed}.png')
        mmcv.imwrite(rng.integers(0, 256, (300, 250, 3), dtype=np.uint8), path)
        infos.append(
            {
                'img_path': path,
                'img_id': seed,
                'id': seed,
                'bbox': np.array([[60, 40, 190, 250]], np.float32),
                'bbox_score': np.ones(1, np.float32),
                'keypoints': rng.uniform((10, 0), (240, 290), (1, KEYPOINTS, 2)).astype(np.float32),
                # Below one half is unlabelled for mmpose.
                'keypoints_visible': rng.choice([1, 1, 1, 1, 0.25, 0], (1, KEYPOINTS)),
                'dataset_keypoint_weights': np.linspace(1, 2, KEYPOINTS, dtype=np.float32),
                'raw_ann_info': {'bbox': [60, 40, 130, 210]},
            }
        )
    infos[-1]['keypoints'][..., 0] = np.linspace(226, 256, KEYPOINTS)
    return infos


def pipeline_batch(infos, codec, udp=False, pack=True, **target):
    """Returns the batch that mmpose's pipeline and preprocessor make of the images with a codec."""
    codecs = codec if isinstance(codec, list) else [codec]
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'LoadImage'},
                {'type': 'GetBBoxCenterScale'},
                {'type': 'TopdownAffine', 'input_size': codecs[0]['input_size'], 'use_udp': udp},
                {'type': 'GenerateTarget', 'encoder': codec, **target},
                {'type': 'PackPoseInputs', 'pack_transformed': pack},
            )
        ]
    )
    raw = pseudo_collate([pipeline(copy.deepcopy(info)) for info in infos])
    return PoseDataPreprocessor().forward(raw, training=True)


def at(codec, size, sigma=None):
    """The codec of a config whose input has that size (width, height)."""
    codec = {**codec, 'input_size': size}
    if 'heatmap_size' in codec:
        codec.update(heatmap_size=(size[0] // 4, size[1] // 4), sigma=sigma)
    return codec


def encoded(samples, codec):
    """Samples with what a codec encodes where a smaller image shows the keypoints.

    Where that is, tests/ground_truth/test_pose_pixels.py finds out.
    """
    encoder, results = KEYPOINT_CODECS.build(codec), copy.deepcopy(samples)
    ratios = np.divide(codec['input_size'], SIZE)
    for result in results:
        instances = result.gt_instances
        moved = ((instances.transformed_keypoints + 0.5) * ratios - 0.5).astype(np.float32)
        labels = encoder.encode(moved, instances.keypoints_visible)
        instances.transformed_keypoints = moved
        result.gt_instance_labels.keypoint_weights = torch.from_numpy(labels['keypoint_weights'])
        if 'heatmaps' in labels:
            result.gt_fields = PixelData(heatmaps=torch.from_numpy(labels['heatmaps']))
        else:
            points = torch.from_numpy(labels['keypoint_labels'])
            result.gt_instance_labels.keypoint_labels = points
    return results


def resized(model, main, width):
    """The subnet's samples when the shorter side, the width, becomes ``width``."""
    height = int(width / SIZE[0] * SIZE[1] + 0.5)
    return subnet_batch(model, **main, list_sizes=lambda _: [(height, width)])


def heatmaps(samples):
    return torch.stack([sample.gt_fields.heatmaps for sample in samples])


def weights(samples):
    return torch.stack([sample.gt_instance_labels.keypoint_weights for sample in samples])


def pixels(samples):
    """Rounds the places (x, y) of keypoints in heatmaps of a quarter of the size."""
    keypoints = np.concatenate([s.gt_instances.transformed_keypoints for s in samples])
    return torch.from_numpy(keypoints / 4 + 0.5).long()


def peaks(maps):
    index = maps.flatten(2).argmax(dim=-1)
    return torch.stack([index % maps.shape[-1], index // maps.shape[-1]], dim=-1)


@pytest.mark.parametrize('codec', [MSRA, DARK, UDP], ids=['msra', 'dark', 'udp'])
def test_heatmaps_are_what_the_codec_encodes_at_that_size(infos, codec):
    udp = codec is UDP
    model, main = make_model(codec), pipeline_batch(infos, codec, udp)
    before = copy.deepcopy(main['data_samples'])
    small = resized(model, main, 64)
    native = encoded(main['data_samples'], at(codec, (64, 96), sigma=1.0))
    assert small.inputs.shape[-2:] == (96, 64)
    ours, theirs = heatmaps(small.data_samples), heatmaps(native)
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    # A subnet is not trained on what the main network is not trained on.
    expected = weights(native) * (weights(main['data_samples']) > 0)
    assert torch.equal(weights(small.data_samples), expected)
    assert (expected != weights(native)).sum() <= 2
    if codec is MSRA:  # the others see the same keypoints at these two sizes
        assert not torch.equal(expected, weights(main['data_samples']))
    labelled = weights(native)[:, 0] == 1
    assert 0.3 < labelled.float().mean() < 0.9, 'all keypoints are alike'
    assert (theirs.flatten(2).amax(-1)[labelled] > 0.5).float().mean() > 0.6
    for sample, expected in zip(small.data_samples, native, strict=True):
        np.testing.assert_allclose(
            sample.gt_instances.transformed_keypoints,
            expected.gt_instances.transformed_keypoints,
            atol=1e-4,
        )
    cropped = pipeline_batch(infos, at(codec, (64, 96), sigma=1.0), udp)['data_samples']
    for sample, expected in zip(small.data_samples, cropped, strict=True):
        for key in ('input_size', 'img_shape', 'pad_shape', 'batch_input_shape', 'id'):
            assert sample.get(key) == expected.get(key), key
        for key in ('bboxes', 'keypoints', 'keypoints_visible', 'bbox_scores'):
            kept = expected.gt_instances.get(key)
            np.testing.assert_allclose(sample.gt_instances.get(key), kept)
    assert torch.equal(heatmaps(before), heatmaps(main['data_samples']))
    assert torch.equal(weights(before), weights(main['data_samples']))


@pytest.mark.parametrize('width', [96, 88, 80, 72, 56])
def test_peaks_are_at_the_keypoints_where_those_of_the_codec_are_not(infos, width):
    """Whatever the fraction of 3 sigma; mmpose's codec puts them one pixel aside for some."""
    model, main = make_model(MSRA), pipeline_batch(infos, MSRA)
    small = resized(model, main, width)
    sigma, (height, _) = 2 * width / SIZE[0], small.image_hw
    assert height % 4 == 0
    native = encoded(main['data_samples'], at(MSRA, (width, height), sigma))
    ours, theirs, expected = heatmaps(small.data_samples), heatmaps(native), pixels(native)
    inside = (expected >= 0).all(-1) & (expected < torch.tensor([width // 4, height // 4])).all(-1)
    inside &= weights(native)[:, 0] == 1
    assert inside.sum() > 15
    assert torch.equal(peaks(ours)[inside], expected[inside])
    inner = inside & (expected >= 3 * sigma).all(-1)  # the border has errors of its own
    assert inner.sum() > 5
    if 3 * sigma % 1 < 0.5:
        assert torch.equal(peaks(theirs)[inner], expected[inner] - 1)
    else:
        torch.testing.assert_close(ours[inner], theirs[inner], atol=1e-5, rtol=0)
        assert not torch.equal(peaks(theirs)[inside], expected[inside])


def test_padded_udp_heatmaps_are_those_of_the_padded_input(infos):
    """With UDP the distance between pixels of the heatmap depends on the padded size."""
    codec = {**UDP, 'sigma': 4.0}
    model, main = make_model(codec, pad_size_divisor=32), pipeline_batch(infos, codec, udp=True)
    small = resized(model, main, 80)
    assert (small.image_hw, tuple(small.inputs.shape[-2:])) == ((120, 80), (128, 96))
    padded = KEYPOINT_CODECS.build(at(UDP, (96, 128), sigma=4 * 80 / 128))
    ours = heatmaps(small.data_samples)
    compared = 0
    for index, sample in enumerate(main['data_samples']):
        keypoints = (sample.gt_instances.transformed_keypoints + 0.5) * 80 / 128 - 0.5
        visible = sample.gt_instances.keypoints_visible
        expected = torch.from_numpy(padded.encode(keypoints, visible)['heatmaps'])
        inner = torch.from_numpy((keypoints > 32) & (keypoints < [79, 119])).all(-1)[0]
        compared += int((expected[inner].amax((1, 2)) > 0.5).sum())
        torch.testing.assert_close(
            ours[index][inner][:, :30, :20], expected[inner][:, :30, :20], atol=1e-5, rtol=0
        )
    assert compared > 10
    assert ours[..., 30:, :].sum() == ours[..., 20:].sum() == 0


@pytest.mark.parametrize('width', [72, 80])
def test_unbiased_heatmaps_are_the_codecs_at_any_size(infos, width):
    model, main = make_model(DARK), pipeline_batch(infos, DARK)
    small = resized(model, main, width)
    codec = at(DARK, (width, small.image_hw[0]), 2 * width / SIZE[0])
    native = encoded(main['data_samples'], codec)
    kept = (weights(native) > 0) & (weights(main['data_samples']) > 0)
    ours, theirs = heatmaps(small.data_samples), heatmaps(native)
    assert (theirs[kept[:, 0]].amax((1, 2)) > 0.5).sum() > 15
    torch.testing.assert_close(ours[kept[:, 0]], theirs[kept[:, 0]], atol=1e-5, rtol=0)


@pytest.mark.parametrize('codec', [MSRA, DARK], ids=['msra', 'dark'])
def test_padding_of_the_batch_is_padding_of_the_heatmaps(infos, codec):
    codec = {**codec, 'sigma': 4.0}
    model, main = make_model(codec, pad_size_divisor=32), pipeline_batch(infos, codec)
    small = resized(model, main, 80)
    assert small.image_hw == (120, 80)
    assert small.inputs.shape[-2:] == (128, 96)
    assert (small.inputs[:, :, 120:] == 0).all()
    unpadded = resized(make_model(codec), main, 80)
    assert unpadded.inputs.shape[-2:] == (120, 80)
    ours, expected = heatmaps(small.data_samples), heatmaps(unpadded.data_samples)
    assert ours.shape[-2:] == (32, 24)
    assert torch.equal(ours[..., :30, :20], expected)
    assert expected[..., -1].sum() > 0.1, 'no keypoint is at the border'
    assert ours[..., 30:, :].sum() == ours[..., 20:].sum() == 0
    assert torch.equal(weights(small.data_samples), weights(unpadded.data_samples))


def test_weights_of_the_data_set_are_kept(infos):
    model = make_model(MSRA)
    main = pipeline_batch(infos, MSRA, use_dataset_keypoint_weights=True)
    small = resized(model, main, 64)
    kept = weights(encoded(main['data_samples'], at(MSRA, (64, 96), sigma=1.0)))
    expected = kept * infos[0]['dataset_keypoint_weights']
    assert len(expected.unique()) > 10
    assert torch.equal(weights(small.data_samples), expected * (weights(main['data_samples']) > 0))


@pytest.mark.parametrize('codec', [MSRA, UDP], ids=['msra', 'udp'])
@pytest.mark.parametrize('width', [99, 64])
def test_padding_needs_no_divisor(infos, codec, width):
    main = pipeline_batch(infos, codec, codec is UDP)
    ours, expected = (resized(make_model(codec, divisor), main, width) for divisor in (1, 32))
    assert ours.inputs.shape[-2:] == {99: (160, 128), 64: (96, 64)}[width]
    assert torch.equal(ours.inputs, expected.inputs)
    assert torch.equal(heatmaps(ours.data_samples), heatmaps(expected.data_samples))
    assert heatmaps(ours.data_samples).sum() > 10
    for sample, other in zip(ours.data_samples, expected.data_samples, strict=True):
        assert sample.pad_shape == other.pad_shape == sample.batch_input_shape


@pytest.mark.parametrize('divisor', [1, 32])
def test_regression_labels_are_fractions_of_the_padded_input(infos, divisor):
    for info in infos:  # inside by a pixel, so that no size rounds them out
        info['keypoints'] = info['keypoints'].clip((70, 60), (180, 230))
    model, main = make_model(None, divisor), pipeline_batch(infos, REGRESSION, pack=False)
    small = resized(model, main, 80)
    padded = (96, 128)
    assert small.inputs.shape[-2:] == padded[::-1]
    packed = pipeline_batch(infos, REGRESSION)['data_samples']
    native = encoded(packed, at(REGRESSION, (80, 120)))
    for ours, theirs in zip(small.data_samples, native, strict=True):
        expected = theirs.gt_instance_labels.keypoint_labels * torch.tensor([80, 120])
        expected = (expected / torch.tensor(padded)).float()
        torch.testing.assert_close(ours.gt_instance_labels.keypoint_labels, expected)
    assert torch.equal(weights(small.data_samples), weights(native))
    assert weights(native).sum() > 20


OFFSETS = {**UDP, 'heatmap_type': 'combined'}
OTHER = at(MSRA, (64, 96), 2.0)
REFUSED = [  # encoder, decoder, settings of the pipeline, message
    (MSRA, MSRA, {'pack': False}, r"type='PackPoseInputs', pack_transformed=True"),
    (MSRA, None, {}, 'model.head.decoder must be a codec .* got NoneType'),
    (MSRA, OTHER, {}, r'codec that GenerateTarget encodes with, got .*\(64, 96\)'),
    (OFFSETS, OFFSETS, {}, "heatmap_type must be 'gaussian' .* got 'combined'"),
    (SIMCC, SIMCC, {}, r"SimCCLabel: each .* Got \(96, 64\) instead .*canvas='keep'"),
    ([MSRA, MSRA], MSRA, {'multilevel': True}, 'the 2 levels of .*multilevel=True.*inputs=None'),
]


@pytest.mark.parametrize(('encoder', 'decoder', 'settings', 'message'), REFUSED)
def test_what_cannot_be_encoded_at_another_size_is_refused(
    infos, encoder, decoder, settings, message
):
    main = pipeline_batch(infos, encoder, **settings)
    with pytest.raises(ValueError, match=message):
        resized(make_model(decoder), main, 64)


def test_heatmaps_of_a_fraction_of_a_pixel_are_refused(infos):
    main = pipeline_batch(infos, MSRA)
    message = r'pad_size_divisor must make .* got inputs of \(99, 68\) .*, 32 for most networks'
    with pytest.raises(ValueError, match=message):
        resized(make_model(MSRA, pad_size_divisor=3), main, 66)


def test_registered_codec_is_used(infos, monkeypatch):
    monkeypatch.setattr('mmst.ground_truth.pose_heatmaps._encoders', {})
    model, main = make_model(MSRA), pipeline_batch(infos, MSRA)
    with pytest.raises(ValueError, match='got MSRAHeatmap'):
        resized(model, main, 64)
    register_heatmap_codec(type(model.head.decoder))(encode_msra)
    assert heatmaps(resized(model, main, 64).data_samples).sum() > 0


@pytest.fixture
def estimator():
    """mmpose's Simple Baseline with ResNet-18, for inputs of 128 x 192."""
    model = get_config(
        'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
    ).model
    model.backbone.update(type='mmst.STBackbone', wraps='ResNet', depth=18, init_cfg=None)
    model.head.update(in_channels=512, deconv_out_channels=(32, 32, 32), decoder=MSRA)
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.init_weights()
    return model.train()


@pytest.mark.parametrize('width', [64, 77, 99])
def test_subnet_of_a_real_model_learns_what_the_pipeline_gives(
    estimator, infos, train_on, loss_of, width
):
    main = pipeline_batch(infos, MSRA)
    small = resized(estimator, main, width)
    full, idle = train_on(estimator, small, depths=(2, 2, 2, 2))
    assert not idle
    assert full['loss_kpt'] > 0
    if width == 64:
        native = encoded(main['data_samples'], at(MSRA, (64, 96), sigma=1.0))
        expected = loss_of(estimator, {'inputs': small.inputs, 'data_samples': native})
        torch.testing.assert_close(full['loss_kpt'], expected['loss_kpt'], rtol=1e-4, atol=0)
    values, idle = train_on(estimator, small, depths=(1, 2, 2, 1))
    assert torch.isfinite(values['loss'])
    assert {name.split('.')[1] for name in idle} == {'layer1', 'layer4'}
