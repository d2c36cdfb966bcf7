"""Models with a teacher, several branches or compiled parts: they work, or are refused by name."""

import copy
import inspect

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.hub import get_config
from mmengine.model import BaseModel, ExponentialMovingAverage
from mmengine.registry import MODELS, DefaultScope
from torch import nn
from toy_classifier import ToyResNet

from mmst.core import DepthSpace, active_subnet
from mmst.engine.model_parts import find_stimulated_backbone
from mmst.engine.run_checks import check_inputs, check_model

CHANNELS = [8, 16, 32, 64]
BACKBONE = {
    'type': 'mmst.STBackbone',
    'wraps': 'ResNet',
    'depth': 18,
    'base_channels': 8,
    'stem_channels': 8,
    'frozen_stages': -1,
    'norm_eval': False,
    'init_cfg': None,
}
HEAD = {'num_classes': 5, 'in_channels': 32, 'feat_channels': 32, 'stacked_convs': 1}


def small(model, part=''):
    """Makes a one-stage detector small, or its teacher."""
    model[f'{part}backbone'].update(BACKBONE, choices=(1, 2, 1, 1))
    model[f'{part}neck'].update(in_channels=CHANNELS, out_channels=32)
    model[f'{part}bbox_head'].update(HEAD)
    return model


def distilling():
    """KnowledgeDistillationSingleStageDetector; its teacher has an STBackbone, too."""
    model = small(get_config('mmdet::ld/ld_r18-gflv1-r101_fpn_1x_coco.py').model)
    teacher = small(get_config('mmdet::gfl/gfl_r50_fpn_1x_coco.py').model)
    model.update(teacher_config={'model': teacher}, teacher_ckpt=None)
    return model


def lad():
    model = get_config('mmdet::lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py').model
    model.teacher_ckpt = None
    return small(small(model), 'teacher_')


def crowd_det():
    model = get_config('mmdet::crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py').model
    model.backbone.update(BACKBONE, choices=(1, 2, 1, 1))
    model.neck.update(in_channels=CHANNELS, out_channels=16)
    model.rpn_head.update(in_channels=16, feat_channels=16)
    model.roi_head.bbox_roi_extractor.out_channels = 16
    model.roi_head.bbox_head.update(in_channels=16, fc_out_channels=16)
    model.data_preprocessor.batch_augments[0].scale = (128, 96)
    model.train_cfg.rpn_proposal.update(nms_pre=64, max_per_img=16)
    model.train_cfg.rcnn.sampler.num = 16
    return model


def count_calls(module):
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize('make', [distilling, lad])
def test_the_student_of_a_distillation_skips_blocks_and_its_teacher_does_not(make, make_runner):
    if make is lad:
        pytest.importorskip('sklearn')  # mmdet's PAA heads need it
    runner = make_runner(model=make(), max_iters=3)
    teacher = runner.model.teacher_model.backbone
    student = find_stimulated_backbone(runner.model)
    assert student is runner.model.backbone and isinstance(teacher.depth_space, DepthSpace)
    skipped, whole = count_calls(student.layer2[1]), count_calls(teacher.layer2[1])
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    runner.train()
    ran = [scalars['depth_2'][0] == 2 for scalars in runner.record.subnet]
    assert len(ran) == 3 and not all(ran), 'no subnet has skipped the block'
    assert len(skipped) == 1 + 3 + sum(ran)  # one to count FLOPs, before the run
    assert len(whole) == 6
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


class OneClass(Hook):
    """CrowdDet tells people from the rest."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for sample in data_batch['data_samples']:
            sample.gt_instances.labels.zero_()
            sample.ignored_instances.labels.zero_()


def test_crowd_det_trains(make_runner):
    runner = make_runner(model=crowd_det(), max_iters=2)
    runner.register_hook(OneClass())
    runner.train()
    assert len(runner.record.subnet) == 2
    for scalars in runner.record.subnet:
        assert 0 < scalars['loss'][0] < 20


def test_a_teacher_whose_statistics_would_change_is_refused(make_runner):
    runner = make_runner(model=ConfigDict(distilling(), eval_teacher=False), max_iters=1)
    message = r'KnowledgeDistillationSingleStageDetector with an unregistered teacher_model.*eval_t'
    with pytest.raises(ValueError, match=message):
        runner.train()


def soft_teacher(detector):
    return MODELS.build(
        {
            'type': 'SoftTeacher',
            'detector': detector,
            'data_preprocessor': {
                'type': 'MultiBranchDataPreprocessor',
                'data_preprocessor': detector.data_preprocessor,
            },
            'semi_train_cfg': {'freeze_teacher': True},
        }
    )


def test_soft_teacher_is_refused_before_the_first_iteration(detector_config, make_runner):
    model = soft_teacher(detector_config(choices=(2, 2, 2, 2)))
    assert find_stimulated_backbone(model) is model.student.backbone
    runner = make_runner(model=model)
    with pytest.raises(
        ValueError, match=r'got SoftTeacher, whose loss takes several \(MultiBranch'
    ):
        runner.train()
    assert runner.iter == 0 and runner.record.outputs == []


def test_the_student_of_dwpose_is_stimulated(tmp_path):
    pytest.importorskip('mmpose.utils').register_all_modules(init_default_scope=False)
    head = {
        'type': 'RTMCCHead',
        'in_channels': 64,
        'out_channels': 3,
        'input_size': (64, 64),
        'in_featuremap_size': (2, 2),
        'simcc_split_ratio': 2.0,
        'loss': {'type': 'KLDiscretLoss'},
        'decoder': {'type': 'SimCCLabel', 'input_size': (64, 64)},
    }
    model = {'type': 'TopdownPoseEstimator', 'backbone': BACKBONE, 'head': head}
    file = str(tmp_path / 'pose.py')
    Config({'model': model}).dump(file)
    distiller = {'type': 'DWPoseDistiller', 'teacher_cfg': file, 'student_cfg': file}
    with DefaultScope.overwrite_default_scope('mmpose'):
        model = MODELS.build(distiller)
    assert find_stimulated_backbone(model) is model.student.backbone
    check_model(model, model.student.backbone)


class Student(BaseModel):
    """A backbone and what else a test gives it."""

    def __init__(self, backbone, **others):
        super().__init__()
        self.backbone = backbone
        for name, other in others.items():
            setattr(self, name, other)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.backbone(inputs)


def build_backbone():
    torch.manual_seed(0)
    return MODELS.build({'type': 'mmst.STBackbone', 'wraps': ToyResNet})


@pytest.fixture
def backbone():
    return build_backbone()


def test_a_frozen_copy_is_a_teacher(backbone):
    model = Student(backbone, copy=ExponentialMovingAverage(backbone))
    assert find_stimulated_backbone(model) is backbone
    with pytest.raises(ValueError, match='Student with the ExponentialMovingAverage copy'):
        check_model(model, backbone)
    model.backbone = nn.Identity()  # an STBackbone is only in the teacher
    with pytest.raises(ValueError, match=r'got only copy\.module, in a frozen teacher'):
        find_stimulated_backbone(model)


def test_a_frozen_copy_beside_the_backbone_is_a_teacher(backbone):
    """CAE of mmpretrain has it there."""
    model = Student(backbone, teacher=copy.deepcopy(backbone).requires_grad_(False))
    assert find_stimulated_backbone(model) is backbone


def test_a_frozen_backbone_under_a_trained_head_is_no_teacher(backbone):
    model = Student(backbone.requires_grad_(False), head=nn.Linear(1, 1))
    model.copy = Student(copy.deepcopy(backbone), head=nn.Linear(1, 1)).requires_grad_(False)
    assert find_stimulated_backbone(model) is backbone


def test_two_trained_backbones_are_still_refused(backbone):
    model = Student(backbone, other=build_backbone())
    with pytest.raises(ValueError, match='one backbone built by .*, got 2: backbone, other'):
        find_stimulated_backbone(model)


def all_models():
    """Every model class of the four libraries."""
    for library in ('mmdet', 'mmseg', 'mmpose', 'mmpretrain'):
        module = pytest.importorskip(f'{library}.registry')
        pytest.importorskip(f'{library}.utils').register_all_modules(init_default_scope=False)
        for cls in module.MODELS.module_dict.values():
            if inspect.isclass(cls) and issubclass(cls, BaseModel) and not inspect.isabstract(cls):
                yield cls


def test_models_of_several_batches_are_exactly_these():
    """Told by the hint of their loss; the tensor of masked image modelling is one batch."""
    refused, accepted = set(), set()
    for cls in all_models():
        try:
            check_inputs(cls, type(None))
            accepted.add(cls.__name__)
        except ValueError as error:
            assert f'got {cls.__name__}, whose loss takes several' in str(error)
            refused.add(cls.__name__)
    views = {'BEiT', 'BYOL', 'BarlowTwins', 'CAE', 'DenseCL', 'MoCo', 'MoCoV3', 'SimCLR'}
    assert refused == {*views, 'SimSiam', 'SwAV', 'SemiBaseDetector', 'SoftTeacher'}
    assert {'MAE', 'SimMIM', 'ImageClassifier', 'EncoderDecoder', 'FasterRCNN'} <= accepted
    assert {'KnowledgeDistillationSingleStageDetector', 'DWPoseDistiller'} <= accepted


def compiled_backbone(backbone):
    return torch.compile(backbone, backend='eager')


def compiled_in_place(backbone):
    backbone.compile(backend='eager')
    return backbone


def compiled_forward(backbone):
    backbone.forward = torch.compile(backbone.forward, backend='eager')
    return backbone


def compiled_stage(backbone):
    backbone.layer2 = torch.compile(backbone.layer2, backend='eager')
    return backbone


@pytest.mark.parametrize(
    ('compile', 'where'),
    [
        (compiled_backbone, 'backbone'),
        (compiled_in_place, 'backbone'),
        (compiled_forward, 'backbone'),
        (compiled_stage, r'backbone\.layer2'),
    ],
)
def test_a_graph_around_skipped_blocks_is_refused(backbone, compile, where):
    """torch guards on the blocks, so results would be right; see the next test."""
    model = Student(compile(backbone))
    assert find_stimulated_backbone(model) is backbone
    with pytest.raises(ValueError, match=f'got {where} compiled: it would be compiled again'):
        check_model(model, backbone)


def test_compiled_blocks_are_skipped(backbone):
    for stage in (backbone.layer1, backbone.layer2):
        stage[0].compile(backend='eager')
        stage[1] = torch.compile(stage[1], backend='eager')
    model = Student(backbone)
    assert find_stimulated_backbone(model) is backbone
    check_model(model, backbone)
    plain = build_backbone()
    images = torch.randn(2, 3, 64, 64)
    for depths in ((1, 1, 2, 1), (2, 2, 2, 2)):
        with active_subnet(backbone, depths), active_subnet(plain, depths):
            for got, expected in zip(backbone(images), plain(images), strict=True):
                assert torch.equal(got, expected)


def test_a_compiled_head_is_left_alone(backbone):
    model = Student(backbone, head=torch.compile(nn.Linear(2, 2)))
    check_model(model, backbone)
