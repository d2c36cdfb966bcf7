"""A smaller image in an input of the old size: what mmpose's pipeline makes of such a picture."""

import copy

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS, TRANSFORMS
from mmpose.models import PoseDataPreprocessor
from mmpose.registry import KEYPOINT_CODECS
from preprocessed import Preprocessed

from mmst.engine.batch import subnet_batch

pytestmark = pytest.mark.usefixtures('mmpose_scope')

SIZE = (192, 256)  # width, height
SMALL = (96, 128)
MSRA = {'type': 'MSRAHeatmap', 'input_size': SIZE, 'heatmap_size': (48, 64), 'sigma': 2.0}
CODECS = {
    'simcc': {'type': 'SimCCLabel', 'input_size': SIZE, 'sigma': (4.9, 5.66), 'normalize': False},
    'simcc-normalised': {'type': 'SimCCLabel', 'input_size': SIZE, 'sigma': 6},
    'one-hot': {
        'type': 'SimCCLabel',
        'input_size': SIZE,
        'smoothing_type': 'standard',
        'label_smooth_weight': 0.1,
    },
    'dsnt': {**MSRA, 'type': 'IntegralRegressionLabel'},
    'msra': MSRA,
    'udp-offsets': {
        **MSRA,
        'type': 'UDPHeatmap',
        'heatmap_type': 'combined',
    },
    'megvii': {
        'type': 'MegviiHeatmap',
        'input_size': SIZE,
        'heatmap_size': (48, 64),
        'kernel_size': 11,
    },
    'regression': {'type': 'RegressionLabel', 'input_size': SIZE},
}
RTMPOSE = 'rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192.py'


def make_model(codec):
    return Preprocessed(PoseDataPreprocessor(), KEYPOINT_CODECS.build(codec))


def picture(folder, seed, size=SIZE):
    """A picture that fills the input, with keypoints in it, unlabelled or beside it."""
    rng = np.random.default_rng(seed)
    path = str(folder / f'{seed}.png')
    noise = rng.integers(0, 256, (16, 12, 3), dtype=np.uint8)
    mmcv.imwrite(mmcv.imresize(noise, size, interpolation='bicubic'), path)
    points = rng.uniform((-8, -8), (size[0] + 8, size[1] + 8), (1, 17, 2)).astype(np.float32)
    # Of these, all codecs drop what is beyond the input; a canvas has room for some of them.
    points[0, :3] = [[size[0] + 60, 40], [20, size[1] + 70], [-40, 30]]
    return {
        'img_path': path,
        'img_id': seed,
        'id': seed,
        'bbox': np.array([[0, 0, *size]], np.float32),
        'bbox_score': np.ones(1, np.float32),
        'keypoints': points,
        'keypoints_visible': rng.choice([1.0, 1, 1, 0.25, 0], (1, 17)).astype(np.float32),
    }


def in_canvas(info, folder):
    """The same picture, smaller and in the upper left corner of an empty one of the old size."""
    small = copy.deepcopy(info)
    small['img_path'] = str(folder / f'small{info["id"]}.png')
    image = mmcv.imresize(mmcv.imread(info['img_path']), SMALL)
    mmcv.imwrite(mmcv.impad(image, shape=SIZE[::-1]), small['img_path'])
    small['keypoints'] = ((info['keypoints'] + 0.5) / 2 - 0.5).astype(np.float32)
    return small


def packed(infos, codec, preprocessor):
    """Returns what mmpose's pipeline makes of pictures that fill the input."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'LoadImage'},
                {'type': 'GetBBoxCenterScale', 'padding': 1.0},
                {'type': 'TopdownAffine', 'input_size': SIZE},
                {'type': 'GenerateTarget', 'encoder': codec},
                {'type': 'PackPoseInputs', 'pack_transformed': True},
            )
        ]
    )
    data = pseudo_collate([pipeline(copy.deepcopy(info)) for info in infos])
    return preprocessor.forward(data, training=True)


def half_in_canvas(model, data):
    return subnet_batch(model, **data, list_sizes=lambda _: [SMALL[::-1]], keeps_canvas=True)


def weights_of(samples):
    return torch.stack([sample.gt_instance_labels.keypoint_weights for sample in samples])


@pytest.mark.parametrize('codec', CODECS.values(), ids=CODECS)
def test_a_smaller_image_is_what_the_pipeline_makes_of_such_a_picture(codec, tmp_path):
    infos = [picture(tmp_path, seed) for seed in range(3)]
    model = make_model(codec)
    main = packed(infos, codec, model.data_preprocessor)
    before = copy.deepcopy(main['data_samples'])
    native = packed([in_canvas(i, tmp_path) for i in infos], codec, model.data_preprocessor)
    small = half_in_canvas(model, main)
    assert small.inputs.shape == main['inputs'].shape
    assert (small.inputs - native['inputs']).abs().max() <= 1, 'native ones are whole numbers'
    assert not small.inputs[..., SMALL[1] :, :].any() and not small.inputs[..., SMALL[0] :].any()
    compared = set()
    for ours, theirs, kept in zip(small.data_samples, native['data_samples'], before, strict=True):
        for container in ('gt_instance_labels', 'gt_fields'):
            assert set(ours.get(container, {}).keys()) == set(theirs.get(container, {}).keys())
            for name, expected in theirs.get(container, {}).items():
                value = ours.get(container).get(name)
                assert value.dtype == expected.dtype
                if name == 'keypoint_weights':
                    expected = expected * (kept.gt_instance_labels.keypoint_weights > 0)
                torch.testing.assert_close(value, expected, atol=1e-5, rtol=0)
                compared.add(name)
                assert not torch.equal(kept.get(container).get(name), value) or 'weights' in name
        assert ours.input_size == theirs.input_size
        assert ours.batch_input_shape == theirs.batch_input_shape
    assert len(compared) >= 2
    main_weights, ours, theirs = map(
        weights_of, (before, small.data_samples, native['data_samples'])
    )
    assert (ours > 0).sum() > 15
    if codec.get('heatmap_type') != 'combined':  # its codec drops no keypoint
        assert ((theirs > 0) & (main_weights == 0)).any(), 'no keypoint lies in the padding'
    for sample, kept in zip(main['data_samples'], before, strict=True):
        for name, value in kept.gt_instance_labels.items():
            assert torch.equal(sample.gt_instance_labels.get(name), value)


@pytest.mark.parametrize(
    ('upstream', 'depths'),
    [
        ('simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py', (1, 2, 2, 1)),
        (RTMPOSE, (1, 1, 1)),
        ('integral_regression/coco/ipr_res50_dsnt-8xb64-210e_coco-256x256.py', (1, 2, 2, 1)),
    ],
    ids=['simcc', 'rtmpose', 'dsnt'],
)
def test_heads_of_one_size_train_on_it(upstream, depths, tmp_path, train_on, loss_of):
    """At full depth their loss is that of the main network on mmpose's own batch."""
    cfg = get_config(f'mmpose::body_2d_keypoint/{upstream}')
    if cfg.model.backbone.type == 'ResNet':
        cfg.model.backbone.depth = 18
        cfg.model.head.in_channels = 512
    name = cfg.model.backbone.type
    cfg.model.backbone.update(type='mmst.STBackbone', wraps=name, init_cfg=None)
    codec = {**cfg.model.head.decoder, 'input_size': SIZE}
    if 'heatmap_size' in codec:
        codec['heatmap_size'], cfg.model.head.in_featuremap_size = (48, 64), (6, 8)
    cfg.model.head.decoder = codec
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    infos = [picture(tmp_path, seed) for seed in range(2)]
    main = packed(infos, codec, model.data_preprocessor)
    small = half_in_canvas(model, main)
    native = packed([in_canvas(i, tmp_path) for i in infos], codec, model.data_preprocessor)
    for sample, kept in zip(native['data_samples'], main['data_samples'], strict=True):
        weights = sample.gt_instance_labels.keypoint_weights
        weights *= kept.gt_instance_labels.keypoint_weights > 0
    full, _ = train_on(model, small, depths=model.backbone.depth_space.full)
    expected = loss_of(model, {**native, 'inputs': small.inputs})
    torch.testing.assert_close(full['loss'], expected['loss'], rtol=1e-5, atol=0)
    other = loss_of(model, main)
    assert abs(full['loss'] - other['loss']) > 2e-4 * other['loss']
    values, idle = train_on(model, small, depths=depths)
    assert torch.isfinite(values['loss'])
    if name == 'ResNet':
        skipped = {path.split('.')[1] for path in idle if path.startswith('backbone')}
        assert skipped == {'layer1', 'layer4'}


def test_a_codec_of_another_size_is_refused(tmp_path):
    codec = CODECS['simcc']
    model = make_model({**codec, 'input_size': SMALL})
    main = packed([picture(tmp_path, 0)], codec, model.data_preprocessor)
    with pytest.raises(ValueError, match=r'makes keypoint_x_labels of shape \(1, 17, 192\)'):
        half_in_canvas(model, main)
    model.head.decoder = None
    with pytest.raises(ValueError, match='must be the codec that GenerateTarget .* got none'):
        half_in_canvas(model, main)
