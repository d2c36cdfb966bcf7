"""Labels of whole images stay what they are; the images are those of mmpretrain's pipeline."""

import copy
import dataclasses

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.hub import get_config
from mmengine.registry import MODELS, TRANSFORMS
from mmpretrain.models import ClsHead, MultiLabelClsHead
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from mmpretrain.structures import DataSample, MultiTaskDataSample

from mmst.core.state_guard import record_value
from mmst.engine.batch import subnet_batch
from mmst.engine.inputs import RandomSmallerInput
from mmst.engine.state_check import checked_pass
from mmst.ground_truth import fields, register_ground_truth
from mmst.ground_truth.classification import share_labels

pytestmark = pytest.mark.usefixtures('mmpretrain_scope')
HALF = RandomSmallerInput(0.5).smallest_sizes
MEAN = {'mean': [123.675, 116.28, 103.53], 'std': [58.395, 57.12, 57.375], 'to_rgb': True}


@pytest.fixture
def make_classifier():
    """mmpretrain's ResNet-18 for ImageNet with five classes."""

    def make(train_cfg=None, **preprocessor):
        model = get_config('mmpretrain::resnet/resnet18_8xb32_in1k.py').model
        model.backbone.update(type='mmst.STBackbone', wraps='ResNet')
        model.head.update(num_classes=5, topk=(1,))
        model.update(
            data_preprocessor={**MEAN, 'num_classes': 5, **preprocessor}, train_cfg=train_cfg
        )
        torch.manual_seed(0)
        model = MODELS.build(model)
        model.init_weights()
        return model.train()

    return make


@pytest.fixture
def infos(tmp_path):
    """Data infos as mmpretrain's data sets give them, with one label or several."""
    infos = []
    for seed, labels in enumerate([3, [0, 4], 1]):
        path = str(tmp_path / f'{seed}.png')
        rng = np.random.default_rng(seed)
        mmcv.imwrite(rng.integers(0, 256, (64, 96, 3), dtype=np.uint8), path)
        infos.append({'img_path': path, 'gt_label': labels, 'sample_idx': seed})
    return infos


def pipeline_batch(model, infos, size):
    """Returns mmpretrain's preprocessed batch of the images at a (width, height)."""
    pipeline = Compose(
        [
            TRANSFORMS.build(transform)
            for transform in (
                {'type': 'LoadImageFromFile', 'to_float32': True},
                {'type': 'Resize', 'scale': size},
                {'type': 'PackInputs'},
            )
        ]
    )
    raw = pseudo_collate([pipeline(copy.deepcopy(info)) for info in infos])
    return model.data_preprocessor(raw, training=True)


@pytest.mark.parametrize('divisor', [1, 32])
def test_smaller_batch_is_what_the_pipeline_gives_at_that_size(make_classifier, infos, divisor):
    model = make_classifier(pad_size_divisor=divisor, pad_value=1.5)
    main = pipeline_batch(model, infos, (96, 64))
    small = subnet_batch(model, **main, list_sizes=HALF)
    native = pipeline_batch(model, infos, (48, 32))
    assert small.inputs.shape[-2:] == (32, 48 if divisor == 1 else 64)
    torch.testing.assert_close(small.inputs, native['inputs'], atol=1e-4, rtol=0)
    assert small.data_samples is main['data_samples']
    for ours, theirs in zip(small.data_samples, native['data_samples'], strict=True):
        assert ours.gt_label.tolist() == theirs.gt_label.tolist()
    assert [len(sample.gt_label) for sample in small.data_samples] == [1, 2, 1]


def test_mixed_images_and_their_soft_scores_are_not_mixed_again(make_classifier, infos):
    augments = [{'type': 'Mixup', 'alpha': 1.0}, {'type': 'CutMix', 'alpha': 1.0}]
    model = make_classifier(train_cfg={'augments': augments})
    infos = [{**info, 'gt_label': index} for index, info in enumerate(infos)]
    np.random.seed(3)
    main = pipeline_batch(model, infos, (96, 64))
    state = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    small = subnet_batch(model, **main, list_sizes=HALF)
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert np.random.get_state()[1].tolist() == state[1]
    expected = torch.nn.functional.interpolate(main['inputs'], size=(32, 48), mode='bilinear')
    torch.testing.assert_close(small.inputs, expected)
    assert small.data_samples is main['data_samples']
    assert any(0 < sample.gt_score.max() < 1 for sample in small.data_samples)


@pytest.fixture
def own_rules(monkeypatch):
    """Lets a test register rules for fields, which are forgotten afterwards."""
    monkeypatch.setattr('mmst.ground_truth.fields._fields', dict(fields._fields))
    yield
    fields.find_field.cache_clear()


@pytest.mark.parametrize('list_sizes', [HALF, None, lambda size_hw: [size_hw]])
def test_samples_with_fields_of_their_own_are_copied(make_classifier, infos, own_rules, list_sizes):
    model = make_classifier()
    main = pipeline_batch(model, infos, (96, 64))
    assert subnet_batch(model, **main, list_sizes=list_sizes).data_samples is main['data_samples']
    register_ground_truth(DataSample, 'points')(lambda points, resize: points * resize.ratio)
    main['data_samples'][1].set_field(torch.ones(3, 2), 'points')
    small = subnet_batch(model, **main, list_sizes=list_sizes)
    native = pipeline_batch(model, infos, (48, 32) if list_sizes is HALF else (96, 64))
    for sample, ours, theirs in zip(
        main['data_samples'], small.data_samples, native['data_samples'], strict=True
    ):
        assert ours is not sample
        assert ours.gt_label.tolist() == sample.gt_label.tolist()
        assert ours.metainfo == theirs.metainfo
    assert small.data_samples[1].points.max() == (0.5 if list_sizes is HALF else 1)


def test_head_that_changes_labels_is_refused_until_they_are_copied(
    make_classifier, infos, own_rules
):
    model = make_classifier()
    main = pipeline_batch(model, [{**info, 'gt_label': 0} for info in infos], (96, 64))

    def changing_pass():
        with checked_pass(model, main['data_samples']):
            for sample in subnet_batch(model, **main, list_sizes=HALF).data_samples:
                sample.gt_label += 1
                sample.set_pred_score(torch.ones(5))

    register_ground_truth(DataSample, 'gt_label')(lambda labels, resize: labels.clone())
    changing_pass()
    assert [sample.gt_label.item() for sample in main['data_samples']] == [0, 0, 0]
    register_ground_truth(DataSample, 'gt_label')(share_labels)
    with pytest.raises(
        ValueError, match=r'ImageClassifier, which changes .*gt_label, .*pred_score'
    ):
        changing_pass()


LINEAR = {'num_classes': 5, 'in_channels': 6, 'topk': (1,)}
MULTI = {'num_classes': 5, 'in_channels': 6}
ROWS = (2, 6)
HEADS = {
    'ArcFaceClsHead': (MULTI, ROWS),
    'CSRAClsHead': ({**MULTI, 'num_heads': 2, 'lam': 0.1}, (2, 6, 4, 4)),
    'ClsHead': ({}, (2, 5)),
    'ConformerHead': ({'num_classes': 5, 'in_channels': [6, 6]}, [ROWS, ROWS]),
    'DeiTClsHead': (LINEAR, [ROWS, ROWS]),
    'EfficientFormerClsHead': ({**LINEAR, 'distillation': False}, ROWS),
    'LeViTClsHead': ({**LINEAR, 'distillation': False}, ROWS),
    'LinearClsHead': (LINEAR, ROWS),
    'MultiLabelClsHead': ({}, (2, 5)),
    'MultiLabelLinearClsHead': (MULTI, ROWS),
    'StackedLinearClsHead': ({**LINEAR, 'mid_channels': [8]}, ROWS),
    'VigClsHead': ({**LINEAR, 'hidden_dim': 8}, ROWS),
    'VisionTransformerClsHead': (LINEAR, ROWS),
}
"""Heads of mmpretrain that read labels of images: settings, and shapes of the last features."""
LOSSES = {
    'AsymmetricLoss': {},
    'CrossEntropyLoss': {},
    'FocalLoss': {},
    'LabelSmoothLoss': {'label_smooth_val': 0.1, 'num_classes': 5},
    'SeesawLoss': {'num_classes': 5},
}
"""Losses of mmpretrain for them, with settings."""
OTHER_LOSSES = {
    'CAELoss',
    'CosineSimilarityLoss',
    'CrossCorrelationLoss',
    'PixelReconstructionLoss',
    'SwAVLoss',
}
"""Those that compare images or features."""


def registered(package, parents=object):
    """Names of the registered classes in a package of mmpretrain."""
    classes = PRETRAIN_MODELS.module_dict.items()
    return {
        name
        for name, cls in classes
        if cls.__module__.startswith(f'mmpretrain.models.{package}.') and issubclass(cls, parents)
    }


def samples_with(scores, labels):
    """Two samples with one label each, or a head of several labels with two, perhaps soft."""
    samples = []
    for label in labels:
        sample = DataSample(metainfo={'img_shape': (8, 8), 'num_classes': 5}).set_gt_label(label)
        samples.append(sample.set_gt_score(torch.rand(5).softmax(0)) if scores else sample)
    return samples


@pytest.mark.parametrize('scores', [False, True])
@pytest.mark.parametrize(
    ('head', 'loss'),
    [*((head, None) for head in HEADS), *(('LinearClsHead', loss) for loss in LOSSES)],
)
def test_no_head_or_loss_changes_the_samples(head, loss, scores):
    """So subnets see those of the main network."""
    if scores and loss == 'SeesawLoss':
        pytest.skip('takes no soft labels')
    settings, shapes = HEADS[head]
    model = PRETRAIN_MODELS.build(
        {'type': head, **settings, **({'loss': {'type': loss, **LOSSES[loss]}} if loss else {})}
    ).train()
    model.cal_acc = not scores  # soft labels have none
    several = head in ('MultiLabelClsHead', 'MultiLabelLinearClsHead', 'CSRAClsHead')
    samples = samples_with(scores, [[1, 4], 3] if several else [1, 3])
    fields = [dict(sample.items()) for sample in samples]
    before = record_value(samples)
    last = [torch.randn(s) for s in shapes] if isinstance(shapes, list) else torch.randn(shapes)
    losses = model.loss((last,), samples)
    assert losses['loss'] > 0
    assert before and record_value(samples) == before
    for sample, values in zip(samples, fields, strict=True):
        assert all(sample.get(name) is value for name, value in values.items())


def test_every_head_and_loss_for_labels_was_tried():
    assert registered('heads', (ClsHead, MultiLabelClsHead)) == set(HEADS)
    assert registered('losses') == set(LOSSES) | OTHER_LOSSES


def test_images_of_different_sizes_are_padded_before_they_are_resized(make_classifier, infos):
    model = make_classifier()
    raw = {
        'inputs': [torch.full((3, 64, 96), 200.0), torch.full((3, 32, 64), 100.0)],
        'data_samples': [DataSample().set_gt_label(1), DataSample().set_gt_label(2)],
    }
    main = model.data_preprocessor(raw, training=True)
    small = subnet_batch(model, **main, list_sizes=HALF)
    assert small.inputs.shape == (2, 3, 32, 48)
    assert (small.inputs[1, :, 16:] == 0).all()
    assert (small.inputs[1, :, :, 32:] == 0).all()
    assert (small.inputs[1, :, :15, :31] == main['inputs'][1, :, :1, :1]).all()


def test_targets_of_other_trainings_are_refused(make_classifier, infos):
    model = make_classifier()
    main = pipeline_batch(model, infos, (96, 64))
    for sample in main['data_samples']:
        sample.set_mask(torch.ones(4, 4))
    with pytest.raises(ValueError, match=r"field 'mask' in a DataSample.*@mmst"):
        subnet_batch(model, **main, list_sizes=HALF)
    with pytest.raises(TypeError, match=r'got mmpretrain.*MultiTaskDataSample.*inputs=None'):
        subnet_batch(model, main['inputs'], [MultiTaskDataSample()] * 3, list_sizes=HALF)


def test_subnet_of_a_real_model_learns_what_the_pipeline_gives(
    make_classifier, infos, train_on, loss_of
):
    model = make_classifier()
    infos = [{**info, 'gt_label': index} for index, info in enumerate(infos)]
    main = pipeline_batch(model, infos, (96, 64))
    small = subnet_batch(model, **main, list_sizes=HALF)
    full, idle = train_on(model, small, depths=(2, 2, 2, 2))
    assert not idle
    expected = loss_of(model, pipeline_batch(model, infos, (48, 32)))
    torch.testing.assert_close(full['loss'], expected['loss'], rtol=1e-4, atol=1e-4)
    values, idle = train_on(model, small, depths=(1, 2, 2, 1))
    assert torch.isfinite(values['loss'])
    assert {name.split('.')[1] for name in idle} == {'layer1', 'layer4'}


def test_a_transformer_of_one_size_trains_on_smaller_images_in_its_canvas(infos, train_on, loss_of):
    """They are what mmpretrain's preprocessor makes of images that it pads."""
    config = get_config('mmpretrain::hivit/hivit-tiny-p16_16xb64_in1k.py').model
    config.backbone.update(type='mmst.STBackbone', wraps='HiViT', img_size=64, init_cfg=None)
    config.head = {'type': 'LinearClsHead', 'num_classes': 5, 'in_channels': 384}
    config.update(data_preprocessor={**MEAN, 'pad_value': 1.5}, train_cfg=None)
    torch.manual_seed(0)
    model = MODELS.build(config).train()
    infos = [{**info, 'gt_label': index} for index, info in enumerate(infos)]
    for info in infos:
        mmcv.imwrite(mmcv.imread(info['img_path'])[:, :64], info['img_path'])
    main = pipeline_batch(model, infos, (64, 64))
    small = subnet_batch(model, **main, list_sizes=HALF, keeps_canvas=True)
    model.data_preprocessor.pad_size_divisor = 64
    native = pipeline_batch(model, infos, (32, 32))
    assert small.inputs.shape == main['inputs'].shape
    assert (small.inputs[..., 32:] == 1.5).all() and (small.inputs[..., 32:, :] == 1.5).all()
    torch.testing.assert_close(small.inputs, native['inputs'], atol=1e-4, rtol=0)
    full = model.backbone.depth_space.full
    values, _ = train_on(model, small, depths=full)
    torch.testing.assert_close(values['loss'], loss_of(model, native)['loss'], rtol=1e-4, atol=0)
    shrunk = dataclasses.replace(small, inputs=small.inputs[..., :32, :32])
    with pytest.raises((AssertionError, RuntimeError)):
        train_on(model, shrunk, depths=full)
