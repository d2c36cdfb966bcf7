"""Heads of mmdet that depend on the size of the padded input, or on having a box."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import PolygonMasks
from mmengine.hub import get_config
from mmengine.registry import MODELS
from mmengine.structures import InstanceData

from mmst.core import resize_batch
from mmst.engine.batch import subnet_batch


def build(config):
    """A detector of mmdet with ResNet-18."""
    model = get_config(f'mmdet::{config}.py').model
    model.backbone.update(type='mmst.STBackbone', wraps='ResNet', depth=18, init_cfg=None)
    model.backbone.update(style='pytorch', norm_eval=False, frozen_stages=-1)
    if model.neck.type == 'ChannelMapper':
        model.neck.in_channels = [512]
    if model.neck.type == 'FPN':
        model.neck.in_channels = [64, 128, 256, 512]
    if 'rpn_head' in model and model.rpn_head.type == 'EmbeddingRPNHead':
        model.rpn_head.num_proposals = 20
    torch.manual_seed(0)
    model = MODELS.build(model)
    model.init_weights()
    return model.train()


def batch(model, side, boxes):
    """A preprocessed batch of two square images with the same objects, of classes 0, 1, ...."""
    boxes = torch.tensor(boxes, dtype=torch.float32)
    samples = []
    for _ in range(2):
        sample = DetDataSample(metainfo={'img_shape': (side, side)})
        polygons = [[box[[0, 1, 2, 1, 2, 3, 0, 3]].numpy()] for box in boxes]
        sample.gt_instances = InstanceData(
            bboxes=boxes.clone(),
            labels=torch.arange(len(boxes)),
            masks=PolygonMasks(polygons, side, side),
        )
        samples.append(sample)
    images = torch.randint(0, 256, (2, 3, side, side), generator=torch.manual_seed(0))
    raw = {'inputs': list(images.to(torch.uint8)), 'data_samples': samples}
    return model.data_preprocessor(raw, training=True)


def test_peaks_of_centernet_are_in_the_cell_that_sees_the_object(monkeypatch):
    model = build('centernet/centernet_r18_8xb16-crop512-140e_coco')
    assert model.data_preprocessor.pad_size_divisor == 1
    data = batch(model, 256, [[8, 8, 40, 40], [198, 200, 248, 248], [206, 20, 230, 50]])
    maps = []

    def targets(*args):
        result = get_targets(*args)
        maps.append(result[0]['center_heatmap_target'])
        return result

    get_targets = model.bbox_head.get_targets
    monkeypatch.setattr(model.bbox_head, 'get_targets', targets)
    for side in (256, 255, 226, 193, 161, 130, 110):
        small = subnet_batch(model, **data, list_sizes=lambda _, side=side: [(side, side)])
        with torch.no_grad():
            model.forward(small.inputs, small.data_samples, mode='loss')
        instances = small.data_samples[0].gt_instances
        assert len(instances) == 3
        centres = (instances.bboxes[:, :2] + instances.bboxes[:, 2:]) / 2
        peaks = (maps[-1][0, instances.labels] == 1).nonzero()
        assert peaks[:, 0].tolist() == [0, 1, 2]
        # A cell of the map sees the input around four times its position.
        assert torch.equal(peaks[:, [2, 1]], (centres / 4).long()), side
    assert len(maps) == 7


MODELS_OF_BOXES = [
    'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco',
    'queryinst/queryinst_r50_fpn_1x_coco',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco',
]


@pytest.mark.parametrize('config', MODELS_OF_BOXES)
def test_loss_of_a_batch_whose_boxes_are_all_small_is_an_ordinary_one(config):
    model = build(config)
    losses = []
    for boxes in ([[20, 20, 60, 60], [64, 31, 100, 70]], [[20, 20, 21.4, 60], [64, 31, 100, 32]]):
        data = batch(model, 128, boxes)
        small = subnet_batch(model, **data, list_sizes=lambda _: [(64, 64)])
        with torch.no_grad():
            losses.append(model.forward(small.inputs, small.data_samples, mode='loss'))
    ordinary, of_small_boxes = (model.parse_losses(loss)[0].item() for loss in losses)
    assert 0.3 * ordinary < of_small_boxes < 3 * ordinary


@pytest.mark.parametrize(
    'config', ['detr/detr_r50_8xb2-150e_coco', 'retinanet/retinanet_r50_fpn_1x_coco']
)
def test_an_image_in_a_canvas_is_one_in_a_batch_with_a_larger(config, train_on, loss_of):
    """So padding masks and valid anchors follow: mmdet makes them of the same metainfo."""
    model = build(config)
    boxes = [[20, 20, 60, 60], [64, 31, 100, 70]]
    data = batch(model, 128, boxes)
    small = subnet_batch(model, **data, list_sizes=lambda _: [(70, 70)], keeps_canvas=True)
    assert small.inputs.shape == data['inputs'].shape
    images = torch.randint(0, 256, (2, 3, 128, 128), generator=torch.manual_seed(0)).float()
    samples = []
    for side in (70, 70, 128):
        sample = DetDataSample(metainfo={'img_shape': (side, side)})
        points = torch.tensor(boxes, dtype=torch.float32) * side / 128
        sample.gt_instances = InstanceData(bboxes=points, labels=torch.arange(2))
        samples.append(sample)
    raw = [*resize_batch(images, (70, 70)), images[0]]
    native = model.data_preprocessor({'inputs': raw, 'data_samples': samples}, training=True)
    inputs, samples = native['inputs'][:2], native['data_samples'][:2]
    torch.testing.assert_close(small.inputs, inputs, atol=1e-4, rtol=0)
    for ours, theirs in zip(small.data_samples, samples, strict=True):
        for name in ('img_shape', 'pad_shape', 'batch_input_shape'):
            assert ours.get(name) == theirs.get(name), name
        torch.testing.assert_close(ours.gt_instances.bboxes, theirs.gt_instances.bboxes)
    values, _ = train_on(model, small, depths=(2, 2, 2, 2))
    expected = loss_of(model, {'inputs': inputs, 'data_samples': samples})
    torch.testing.assert_close(values['loss'], expected['loss'], rtol=1e-4, atol=0)
    subnet, _ = train_on(model, small, depths=(1, 2, 2, 1))
    assert torch.isfinite(subnet['loss'])
