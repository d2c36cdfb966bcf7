"""The head and the codec decide the kind of a mmpose model; its samples do not matter."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData
from mmpose.codecs import MSRAHeatmap
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import KEYPOINT_CODECS
from mmpose.structures import PoseDataSample
from mmpose.testing import get_packed_inputs
from torch import nn

from mmst.engine.batch import subnet_batch
from mmst.ground_truth.fields import find_field
from mmst.ground_truth.image_resize import ImageResize
from mmst.ground_truth.pose import PoseTask, resize_mask
from mmst.ground_truth.pose_codecs import _ONE_IMAGE, _ONE_SIZE
from mmst.ground_truth.pose_heatmaps import _encoders

pytestmark = pytest.mark.usefixtures('mmpose_scope')

BODY = 'mmpose::body_2d_keypoint'
HEATMAP = f'{BODY}/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
REGRESSION = f'{BODY}/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192.py'
SIMCC = f'{BODY}/simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py'
ONE_SIZE = [
    (SIMCC, 'SimCCHead: its layers'),
    (f'{BODY}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py', 'RTMCCHead: its layers'),
    (
        'mmpose::wholebody_2d_keypoint/rtmpose/cocktail14/'
        'rtmw-m_8xb1024-270e_cocktail14-256x192.py',
        'RTMWHead: its layers',
    ),
    (
        f'{BODY}/integral_regression/coco/ipr_res50_dsnt-8xb64-210e_coco-256x256.py',
        'DSNTHead: it sums',
    ),
    (f'{BODY}/dekr/coco/dekr_hrnet-w32_8xb10-140e_coco-512x512.py', 'SPR: its maps'),
    (f'{BODY}/cid/coco/cid_hrnet-w32_8xb20-140e_coco-512x512.py', 'DecoupledHeatmap: its maps'),
    (
        f'{BODY}/associative_embedding/coco/ae_hrnet-w32_8xb24-300e_coco-512x512.py',
        'AssociativeEmbedding: its maps',
    ),
    (
        f'{BODY}/topdown_heatmap/coco/td-hm_mspn50_8xb32-210e_coco-256x192.py',
        'MegviiHeatmap: its heatmaps',
    ),
    (
        'mmpose::hand_3d_keypoint/internet/interhand3d/'
        'internet_res50_4xb16-20e_interhand3d-256x256.py',
        'Hand3DHeatmap: its heatmaps',
    ),
]
RESIZE = ImageResize(
    from_hw=(256, 192),
    to_hw=(128, 96),
    main_hw=(256, 192),
    padded_hw=(128, 96),
    divisor_hw=(32, 32),
    preprocessor=nn.Module(),
)


def refused(codec):
    return any(issubclass(codec, kinds) for kinds in {**_ONE_SIZE, **_ONE_IMAGE}.values())


def test_every_field_of_mmpose_has_a_rule_or_its_codec_is_refused():
    tables = {'label': 'gt_instance_labels', 'instance': 'gt_instances', 'field': 'gt_fields'}
    makers = {}
    for maker in (PackPoseInputs, *KEYPOINT_CODECS.module_dict.values()):
        for kind, container in tables.items():
            for name in getattr(maker, f'{kind}_mapping_table', {}).values():
                makers.setdefault(f'{container}.{name}', []).append(maker)
    assert len(makers) > 30
    for path, codecs in makers.items():
        served = [codec for codec in codecs if codec is not PackPoseInputs and not refused(codec)]
        # mmpose packs what it can; what no codec makes comes from pipelines that have refused ones.
        if served or path.startswith('gt_instances.'):
            assert find_field(PoseDataSample, path) is not None, (path, served)
    no_heatmaps = {'RegressionLabel', 'YOLOXPoseAnnotationProcessor'}
    for codec in KEYPOINT_CODECS.module_dict.values():
        assert refused(codec) + (codec in _encoders) + (codec.__name__ in no_heatmaps) == 1, codec


@pytest.mark.parametrize(('upstream', 'message'), ONE_SIZE, ids=[row[1] for row in ONE_SIZE])
def test_heads_of_one_size_are_refused_by_name(upstream, message):
    model = nn.Module()
    model.head = MODELS.build(get_config(upstream).model.head)
    sample = PoseDataSample(gt_instance_labels=InstanceData(), gt_instances=InstanceData())
    follows = not any(reason in message for reason in ('its maps', 'Hand3D'))
    remedy = "canvas='keep'.*inputs=None" if follows else r'; train .*inputs=None'
    with pytest.raises(ValueError, match=rf'for {message}.* Got \(128, 96\) .*{remedy}'):
        PoseTask().resize_samples(model, [sample], [RESIZE])
    kept = dataclasses.replace(RESIZE, padded_hw=RESIZE.main_hw, keeps_canvas=True)
    if follows:
        PoseTask().resize_samples(model, [sample], [kept])
    else:
        with pytest.raises(ValueError, match=rf'images must keep their size for {message}'):
            PoseTask().resize_samples(model, [sample], [kept])


def build(upstream, **head):
    config = get_config(upstream).model
    config.backbone.update(type='mmst.STBackbone', wraps='ResNet', depth=18, init_cfg=None)
    config.head.update(in_channels=512, **head)
    config.data_preprocessor.pad_size_divisor = 32
    torch.manual_seed(0)
    return MODELS.build(config).train()


def packed_batch(model):
    """A batch of mmpose's own tests: with heatmaps, coordinates and bins, whatever the head."""
    data = get_packed_inputs(2)
    for sample in data['data_samples']:
        assert 'bbox_centers' in sample.gt_instances
        sample.gt_instances.transformed_keypoints = sample.gt_instances.keypoints
        assert {'keypoint_x_labels', 'keypoint_labels'} < set(sample.gt_instance_labels.keys())
    return model.data_preprocessor(data, training=True)


def smaller(model, data):
    return subnet_batch(model, **data, list_sizes=lambda _: [(128, 96)])


def test_heatmap_head_reads_heatmaps_whatever_else_there_is(train_on):
    model = build(HEATMAP, deconv_out_channels=(32, 32, 32))
    data = packed_batch(model)
    small = smaller(model, data)
    encoder = MSRAHeatmap(input_size=(96, 128), heatmap_size=(24, 32), sigma=1.0)
    for sample, main in zip(small.data_samples, data['data_samples'], strict=True):
        points = (main.gt_instances.keypoints + 0.5) / 2 - 0.5
        expected = encoder.encode(points, main.gt_instances.keypoints_visible)['heatmaps']
        ours = sample.gt_fields.heatmaps.numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-5)
        assert (ours.max(axis=(1, 2)) == 1).sum() > 10
        bins = (item.gt_instance_labels.keypoint_x_labels for item in (sample, main))
        assert torch.equal(*bins)
    values, _ = train_on(model, small, depths=(1, 2, 2, 1))
    assert values['loss_kpt'] > 0


def test_regression_head_reads_coordinates_whatever_else_there_is(train_on):
    model = build(REGRESSION)
    data = packed_batch(model)
    small = smaller(model, data)
    for sample, main in zip(small.data_samples, data['data_samples'], strict=True):
        size = torch.tensor([192.0, 256.0])
        expected = (main.gt_instance_labels.keypoint_labels * size + 0.5) / 2 - 0.5
        ours = sample.gt_instance_labels.keypoint_labels
        torch.testing.assert_close(ours, expected / (size / 2))
        assert 'heatmaps' not in sample.gt_fields
        assert 'heatmaps' in main.gt_fields
    values, _ = train_on(model, small, depths=(1, 2, 2, 1))
    assert values['loss_kpt'] > 0


def test_bins_are_refused_where_nobody_knows_who_reads_them():
    model = build(HEATMAP, deconv_out_channels=(32, 32, 32), decoder=None)
    data = packed_batch(model)
    message = 'may read gt_instance_labels.keypoint_x_labels: its codec is NoneType. If it reads'
    with pytest.raises(ValueError, match=message):
        smaller(model, data)
    for sample in data['data_samples']:
        del sample.gt_instance_labels.keypoint_x_labels
    with pytest.raises(ValueError, match='must be a codec of heatmaps .* got NoneType'):
        smaller(model, data)


@pytest.fixture
def people_model():
    """YOLOX-Pose, which finds people in whole images, with ResNet-18."""
    config = get_config(f'{BODY}/yoloxpose/coco/yoloxpose_s_8xb32-300e_coco-640.py').model
    config.backbone = {
        'type': 'mmst.STBackbone',
        'wraps': 'ResNet',
        'depth': 18,
        'out_indices': (1, 2, 3),
    }
    config.data_preprocessor.batch_augments = None
    torch.manual_seed(0)
    return MODELS.build(config).train()


def person_batch(model):
    """Two images of 96 x 128 pixels with three and no people, as YOLOX-Pose's pipeline packs."""
    rng, packed = np.random.default_rng(0), []
    for count in (3, 0):
        low = rng.uniform(4, 40, (count, 2))
        boxes = np.hstack([low, low + rng.uniform(20, 50, (count, 2))]).astype(np.float32)
        spread = rng.uniform(size=(count, 17, 2))
        points = (low[:, None] + spread * (boxes[:, None, 2:] - low[:, None])).astype(np.float32)
        mask = np.zeros((96, 128), bool)
        mask[10:30, 60:100] = True
        sample = PoseDataSample(metainfo={'input_size': (128, 96), 'img_shape': (300, 400)})
        sample.gt_instances = InstanceData(bboxes=boxes, keypoints=points)
        sample.gt_instance_labels = InstanceData(
            bboxes=torch.from_numpy(boxes),
            labels=torch.zeros(count, dtype=torch.int8),
            keypoints=torch.from_numpy(points),
            keypoints_visible=torch.ones(count, 17),
            areas=torch.from_numpy((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)),
        )
        sample.gt_fields = PixelData(heatmap_mask=torch.from_numpy(mask)[None])
        image = torch.from_numpy(rng.integers(0, 256, (3, 96, 128), dtype=np.uint8))
        packed.append({'inputs': image, 'data_samples': sample})
    return model.data_preprocessor(pseudo_collate(packed), training=True)


def test_people_in_whole_images_follow_the_resize(people_model, train_on):
    data = person_batch(people_model)
    before = copy.deepcopy(data['data_samples'])
    small = subnet_batch(people_model, **data, list_sizes=lambda _: [(60, 80)])
    assert tuple(small.inputs.shape[-2:]) == (64, 96)
    for sample, main, kept in zip(small.data_samples, data['data_samples'], before, strict=True):
        ours, theirs = sample.gt_instance_labels, main.gt_instance_labels
        torch.testing.assert_close(ours.bboxes, theirs.bboxes * 0.625)
        torch.testing.assert_close(ours.keypoints, (theirs.keypoints + 0.5) * 0.625 - 0.5)
        torch.testing.assert_close(ours.areas, theirs.areas * 0.625**2)
        assert ours.labels.dtype == torch.int8
        assert torch.equal(ours.keypoints_visible, theirs.keypoints_visible)
        assert torch.equal(kept.gt_instance_labels.keypoints, theirs.keypoints)
        mask = sample.gt_fields.heatmap_mask
        assert mask.dtype == torch.bool and mask.shape == (1, 64, 96)
        rows, columns = (mask[0].any(dim).nonzero()[:, 0].tolist() for dim in (1, 0))
        # Its edges are at 10, 30 and 60, 100 pixels.
        assert (rows[0], rows[-1] + 1) == (6, 19) and (columns[0], columns[-1] + 1) == (38, 62)
    values, idle = train_on(people_model, small, depths=(1, 2, 2, 1))
    assert values['loss_bbox'] > 0 and values['loss_kpt'] > 0
    assert torch.isfinite(values['loss'])
    assert {name.split('.')[1] for name in idle} == {'layer1', 'layer4'}


def test_mask_smaller_than_the_input_is_refused():
    with pytest.raises(ValueError, match=r'got \(32, 24\) for an image of \(256, 192\)'):
        resize_mask(torch.zeros(1, 32, 24), RESIZE)
