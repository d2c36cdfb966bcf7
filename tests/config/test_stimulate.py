"""Upstream configs become stimulated ones; values are compared with those of our own configs."""

import copy
import importlib
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyObject
from mmengine.hub import get_config

import mmst
from mmst import config as edit
from mmst.checkpoints.build import build_backbone
from mmst.config.file import load_config
from mmst.config.trained_backbone import trained_backbone
from mmst.core import DepthSpace

ROOT = Path(__file__).parents[2]
SMALLER = {'type': 'mmst.RandomSmallerInput', 'min_ratio': 0.43}
CANVAS = {**SMALLER, 'canvas': 'keep'}
GROUND_TRUTH = {'type': 'mmst.GroundTruthSupervision'}
LOGITS = {'type': 'mmst.LogitSupervision', 'loss': {'type': 'mmst.KLDivLoss'}}


def hook_of(cfg):
    return cfg.default_hooks.stimulative.to_dict()


def text_of(cfg):
    return Config(cfg._cfg_dict, format_python_code=False).pretty_text


@pytest.fixture(scope='module')
def upstream():
    """Reads each upstream config once, and gives a copy."""
    read = {}

    def get(name):
        if name not in read:
            read[name] = get_config(name)
        return copy.deepcopy(read[name])

    return get


DETECTOR = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
CLASSIFIER = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
POSE = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py'
MAE = 'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py'
SIMMIM = 'simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py'
RTMPOSE = 'mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py'


@pytest.mark.parametrize(
    ('ours', 'base'),
    [
        ('faster_rcnn_r50_st.py', 'faster_rcnn_r50.py'),
        ('fpn_cityscapes_r50_st.py', 'fpn_cityscapes_r50.py'),
        ('simple_baseline_pose_r50_st.py', 'simple_baseline_pose_r50.py'),
    ],
)
def test_the_plain_config_becomes_the_stimulated_one(ours, base):
    """The result is our own config, but that choices have a name."""
    expected = Config.fromfile(ROOT / 'configs' / ours)
    expected.model.backbone.choices = 'inter_stage'
    cfg = Config.fromfile(ROOT / 'configs' / base)
    assert edit.stimulate(cfg) is cfg
    assert cfg.model == expected.model
    assert cfg.default_hooks == expected.default_hooks
    assert cfg.custom_imports == expected.custom_imports
    for config in (cfg, expected):  # mmengine adds it to what a config takes from its base
        for transform in config.train_dataloader.dataset.pipeline:
            transform.pop('_scope_', None)
    assert cfg.train_dataloader.dataset == expected.train_dataloader.dataset
    assert cfg.val_dataloader == expected.val_dataloader


@pytest.mark.parametrize(
    ('name', 'supervision', 'inputs', 'changes'),
    [
        (CLASSIFIER, LOGITS, SMALLER, {}),
        ('mmpretrain::efficientnet/efficientnet-b0_8xb32_in1k.py', LOGITS, SMALLER, {}),
        ('mmdet::yolox/yolox_tiny_8xb8-300e_coco.py', GROUND_TRUTH, SMALLER, {}),
        # HRNet adds maps as they are; ViTs and Swins cut images into patches.
        ('mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py', LOGITS, {**SMALLER, 'size_divisor': 32}, {}),
        ('mmpretrain::deit/deit-tiny_4xb256_in1k.py', LOGITS, {**SMALLER, 'size_divisor': 16}, {}),
        (
            'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py',
            LOGITS,
            {**SMALLER, 'size_divisor': 4},
            {'pad_small_map': True},
        ),
        # One size only: a backbone; heads and codecs; labels of several levels, which fit no other.
        ('mmpretrain::mlp_mixer/mlp-mixer-base-p16_64xb64_in1k.py', LOGITS, CANVAS, {}),
        (RTMPOSE, GROUND_TRUTH, CANVAS, {}),
        (POSE.replace('td-hm_res50', 'td-hm_mspn50').replace('64-', '32-'), GROUND_TRUTH, None, {}),
        # Where images are the targets, they keep their size.
        (MAE, GROUND_TRUTH, None, {}),
        (f'mmpretrain::simmim/{SIMMIM}', GROUND_TRUTH, None, {}),
        # The logits of two classifiers; several labels per image have no softmax to learn from.
        ('mmpretrain::conformer/conformer-tiny-p16_8xb128_in1k.py', GROUND_TRUTH, SMALLER, {}),
        ('mmpretrain::csra/resnet101-csra_1xb16_voc07-448px.py', GROUND_TRUTH, SMALLER, {}),
    ],
)
def test_supervision_and_inputs_fit_the_model(upstream, name, supervision, inputs, changes):
    cfg = upstream(name)
    before = cfg.model.backbone.to_dict()
    edit.stimulate(cfg)
    assert hook_of(cfg)['supervision'] == supervision
    assert hook_of(cfg)['inputs'] == inputs
    wrapped = {**before, 'type': 'mmst.STBackbone', 'wraps': before['type']}
    assert cfg.model.backbone.to_dict() == {**wrapped, 'choices': 'inter_stage', **changes}


def test_options_go_where_their_names_are(upstream):
    cfg = upstream(CLASSIFIER)
    edit.stimulate(
        cfg,
        num_subnets=3,
        interval=2,
        choices=(1, 2, 1, 2),
        rule='stochastic',
        min_ratio=0.5,
        loss={'type': 'mmst.KLMinusLoss'},
        ground_truth_weight=0.1,
    )
    hook = hook_of(cfg)
    assert (hook['num_subnets'], hook['interval'], hook['weight']) == (3, 2, 1.0)
    assert hook['inputs'] == {**SMALLER, 'min_ratio': 0.5}
    loss = {'loss': {'type': 'mmst.KLMinusLoss'}, 'ground_truth_weight': 0.1}
    assert hook['supervision'] == {'type': 'mmst.LogitSupervision', **loss}
    assert (cfg.model.backbone.choices, cfg.model.backbone.rule) == ((1, 2, 1, 2), 'stochastic')


def test_choices_of_inputs_and_supervision_are_overridden(upstream):
    cfg = edit.stimulate(upstream(CLASSIFIER), supervision='ground_truth', inputs=None)
    assert hook_of(cfg)['supervision'] == GROUND_TRUTH
    assert hook_of(cfg)['inputs'] is None
    mixer = upstream('mmpretrain::mlp_mixer/mlp-mixer-base-p16_64xb64_in1k.py')
    assert hook_of(edit.stimulate(mixer, min_ratio=0.6))['inputs']['min_ratio'] == 0.6


@pytest.mark.parametrize('options', [{'min_ratio': 0.6}, {'canvas': 'keep'}, {'max_ratio': 1.2}])
def test_images_that_are_reconstructed_cannot_be_made_smaller(upstream, options):
    cfg = upstream(MAE)
    before = text_of(cfg)
    with pytest.raises(ValueError, match='model that reconstructs them, got .* for MAE'):
        edit.stimulate(cfg, **options)
    assert text_of(cfg) == before


def test_a_stimulated_config_keeps_what_it_says_but_for_options():
    """So a second call changes nothing, and --stimulate may be given with any config."""
    ours = Config.fromfile(ROOT / 'configs/pretrain/resnet50_st_klminus.py')
    before = copy.deepcopy(ours)
    assert text_of(edit.stimulate(ours)) == text_of(before)
    edit.stimulate(ours, weight=0.5, choices='space3')
    before.default_hooks.stimulative.weight = 0.5
    before.model.backbone.choices = 'space3'
    assert text_of(ours) == text_of(before)


def test_a_written_config_is_read_back(upstream, tmp_path):
    cfg = edit.stimulate(upstream(DETECTOR), num_subnets=2)
    cfg.dump(tmp_path / 'st.py')
    again = load_config(str(tmp_path / 'st.py'))
    assert text_of(again) == text_of(cfg)
    assert text_of(edit.stimulate(again)) == text_of(cfg)


@pytest.mark.parametrize('scoped', ['type', '_scope_', 'class'])
def test_a_backbone_of_another_library_stays_one(upstream, scoped):
    cfg = upstream(DETECTOR)
    backbone = {'depth': 18, 'out_indices': (0, 1, 2, 3)}
    backbone['type'] = {
        'type': 'mmpretrain.ResNet',
        '_scope_': 'ResNet',
        'class': LazyObject('mmpretrain.models', 'ResNet'),
    }[scoped]
    if scoped == '_scope_':
        backbone['_scope_'] = 'mmpretrain'
    cfg.model.backbone = ConfigDict(backbone)
    edit.stimulate(cfg)
    wraps = {'_scope_': 'ResNet', 'class': 'mmpretrain.models.ResNet'}
    assert cfg.model.backbone.wraps == wraps.get(scoped, 'mmpretrain.ResNet')
    built = build_backbone(Config.fromstring(text_of(cfg), '.py'), cfg.model.backbone)
    assert type(built).__module__ == 'mmpretrain.models.backbones.resnet'
    assert built.depth_space == DepthSpace((2, 2, 2, 2))


def test_the_backbone_is_the_trained_one():
    """A student's, and that which another backbone runs; a detector's inside a wrapper."""

    def where(model):
        return trained_backbone(Config({'model': model}))[1]

    net = {'type': 'ResNet'}
    distilled = {'type': 'A', 'student': {'backbone': net}, 'teacher': {'backbone': net}}
    assert where(distilled) == 'model.student.backbone'
    assert where({'type': 'LAD', 'backbone': net, 'teacher_backbone': net}) == 'model.backbone'
    assert where({'type': 'MaskTrackRCNN', 'detector': {'backbone': net}}).endswith('r.backbone')
    inner = {'type': 'ICNet', 'backbone_cfg': net}
    assert where({'type': 'E', 'backbone': inner}) == 'model.backbone.backbone_cfg'
    wrapped = {'type': 'mmst.STBackbone', 'wraps': 'ResNet'}
    tracker = {'type': 'DeepSORT', 'detector': {'backbone': wrapped}, 'reid': {'backbone': net}}
    assert where(tracker) == 'model.detector.backbone'
    with pytest.raises(ValueError, match='got 2: model.detector.backbone, model.reid.backbone'):
        where({'type': 'D', 'detector': {'backbone': net}, 'reid': {'backbone': net}})
    with pytest.raises(ValueError, match=r'files \(configs/a.py\), of which the trained one'):
        where({'type': 'DWPoseDistiller', 'student_cfg': 'configs/a.py'})
    with pytest.raises(ValueError, match='got no model without; give one of a detector'):
        trained_backbone(Config({}))


SOFT_TEACHER = 'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.01-coco.py'


@pytest.mark.parametrize(
    ('name', 'options', 'error', 'message'),
    [
        (CLASSIFIER, {'num_subnet': 2}, TypeError, "'num_subnet'; did you mean 'num_subnets'"),
        (CLASSIFIER, {'wraps': 'A'}, TypeError, "unknown option 'wraps'"),
        (CLASSIFIER, {'weight': -1}, ValueError, 'weight must be a finite number'),
        (CLASSIFIER, {'choices': (9, 9, 9, 9)}, ValueError, 'at most its 2 blocks, got 9'),
        (CLASSIFIER, {'inputs': None, 'min_ratio': 0.5}, ValueError, 'not be None with min_ratio'),
        (CLASSIFIER, {'supervision': 'labels'}, ValueError, "'ground_truth', 'logits' or a config"),
        (SOFT_TEACHER, {}, ValueError, 'got SoftTeacher, whose loss takes several'),
        # CSPNeXt-tiny has one block per stage: without smaller images nothing is left.
        (RTMPOSE.replace('-m', '-t'), {'inputs': None}, ValueError, 'repeat the main pass.*RTMCC'),
        (RTMPOSE, {'canvas': 'fill'}, ValueError, r"one of \('fit', 'keep'\), got 'fill'"),
        ('mmpretrain::vgg/vgg16_8xb32_in1k.py', {}, TypeError, 'it has no residual blocks'),
    ],
)
def test_what_cannot_be_stimulated_is_one_clear_error(upstream, name, options, error, message):
    cfg = upstream(name)
    before = text_of(cfg)
    with pytest.raises(error, match=message):
        mmst.stimulate(cfg, **options)
    assert text_of(cfg) == before


def test_one_line_says_what_was_chosen_and_why(upstream, monkeypatch):
    lines = []
    module = importlib.import_module('mmst.config.stimulate')  # the package has the function
    monkeypatch.setattr(module, 'print_log', lambda line, **_: lines.append(line))
    edit.stimulate(upstream(RTMPOSE), num_subnets=2)
    (line,) = lines
    assert 'model.backbone is CSPNeXt of (2, 4, 4) blocks; choices (1, 2, 2)' in line
    assert 'RandomSmallerInput of 0.43 in a canvas of the old size; supervision Gro' in line
    assert 'for RTMCCHead: its layers fit the feature map of one input size' in line
