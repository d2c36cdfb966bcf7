"""Subnets change nothing of a whole upstream model but its gradients.

At learning rate 0, stimulative and plain training give the same bits in each iteration: losses,
parameters, buffers, plain attributes of all modules, and random states.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.models.task_modules import MaxIoUAssigner
from mmengine.hooks import Hook
from torch import nn

LIBRARIES = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain', 'mmcv', 'mmengine')
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
INTERNAL = set(vars(nn.Module())) - {'training'}

# ResNet-18 at a quarter of its width, few proposals and queries.
WIDTHS = [16, 32, 64, 128]
RESNET = {'backbone.depth': 18, 'backbone.base_channels': 16, 'backbone.stem_channels': 16}
NEW_RESNET = {
    '_delete_': True, 'type': 'ResNet', 'depth': 18, 'base_channels': 16, 'stem_channels': 16,
    'out_indices': (1, 2, 3),
}  # fmt: skip
FPN = {**RESNET, 'neck.in_channels': WIDTHS}
RPN = {'train_cfg.rpn_proposal.nms_pre': 64, 'train_cfg.rpn_proposal.max_per_img': 16}
ROI = {**RPN, 'train_cfg.rcnn.sampler.num': 16, 'roi_head.bbox_head.fc_out_channels': 32}
RCNN = {**FPN, **ROI}
MASKS = {**RCNN, 'roi_head.mask_head.num_convs': 1, 'roi_head.mask_head.conv_out_channels': 16}
DETR = {**RESNET, 'encoder.num_layers': 1, 'decoder.num_layers': 2, 'num_queries': 30}
MASK2FORMER = {
    **RESNET, 'data_preprocessor.batch_augments': None, 'panoptic_head.in_channels': WIDTHS,
    'panoptic_head.num_queries': 10, 'panoptic_head.transformer_decoder.num_layers': 2,
    'panoptic_head.pixel_decoder.encoder.num_layers': 1, 'train_cfg.num_points': 128,
}  # fmt: skip
CROP = {'data_preprocessor.size': (64, 96)}
SEGMENTER = {**RESNET, **CROP, 'decode_head.in_channels': 128, 'decode_head.channels': 16}
AUXILIARY = {'auxiliary_head.in_channels': 64, 'auxiliary_head.channels': 16}
FCN = {**SEGMENTER, **AUXILIARY}
POSE = {
    **RESNET, 'head.in_channels': 128, 'head.decoder.input_size': (96, 128),
    'data_preprocessor.pad_size_divisor': 32,
}  # fmt: skip
CLASSIFIER = {'train_cfg': None, 'head.in_channels': 128}
RESNET_CLASSIFIER = {**CLASSIFIER, **RESNET, 'head.num_classes': 5, 'head.topk': (1,)}


def each(number: int, prefix: str, **entries: Any) -> dict[str, Any]:
    """The same entries in each of the heads, layers or stages in a list."""
    pairs = ((f'{prefix}.{i}.', entries) for i in range(number))
    return {start + name: value for start, entries in pairs for name, value in entries.items()}


def upstream(config: str, *changes: dict[str, Any], name='', fast=False, **settings: Any):
    """A case: upstream's config, its changes, and whether `make test` runs it."""
    library, _, path = config.partition('::')
    return pytest.param(
        {
            'config': config,
            'changes': {name: value for entries in changes for name, value in entries.items()},
            **settings,
        },
        id=f'{library}-{name or path.split("/")[-2]}',
        marks=() if fast else pytest.mark.slow,
    )


DETECTORS = [
    upstream('mmdet::dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco.py', RCNN,
             {'train_cfg.rcnn.dynamic_rcnn.update_iter_interval': 2}, fast=True),
    upstream('mmdet::ghm/retinanet_r50_fpn_ghm-1x_coco.py', FPN, fast=True),
    upstream('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', RCNN,
             {'neck.type': 'FPN_DropBlock', 'neck.plugin': {
                 'type': 'DropBlock', 'drop_prob': 0.3, 'block_size': 1, 'warmup_iters': 8}},
             name='dropblock', fast=True),
    upstream('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', RCNN,
             {'roi_head.bbox_head.loss_cls': {'type': 'EQLV2Loss', 'num_classes': 80}},
             name='eqlv2'),
    upstream('mmdet::seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_lvis-v1.py', MASKS,
             {f'roi_head.{name}.num_classes': 10
              for name in ('bbox_head', 'bbox_head.loss_cls', 'mask_head')}),
    upstream('mmdet::ddod/ddod_r50_fpn_1x_coco.py', FPN, {'bbox_head.use_dcn': False}),
    upstream('mmdet::libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py', RESNET, ROI,
             {'neck.0.in_channels': WIDTHS, 'train_cfg.rpn_proposal.max_per_img': 100,
              'train_cfg.rpn_proposal.nms_pre': 1000}),
    upstream('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', FPN),
    upstream('mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', FPN),
    upstream('mmdet::atss/atss_r50_fpn_1x_coco.py', FPN),
    upstream('mmdet::paa/paa_r50_fpn_1x_coco.py', FPN, needs='sklearn'),
    upstream('mmdet::vfnet/vfnet_r50_fpn_1x_coco.py', FPN),
    upstream('mmdet::tood/tood_r50_fpn_1x_coco.py', FPN),
    upstream('mmdet::gfl/gfl_r50_fpn_1x_coco.py', FPN),
    upstream('mmdet::reppoints/reppoints-moment_r50_fpn_1x_coco.py', FPN),
    upstream('mmdet::guided_anchoring/ga-retinanet_r50-caffe_fpn_1x_coco.py', FPN),
    upstream('mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py'),
    upstream('mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
             {'backbone': NEW_RESNET, 'neck.in_channels': WIDTHS[1:]}),
    upstream('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
             {'backbone': NEW_RESNET, 'neck.in_channels': WIDTHS[1:],
              'data_preprocessor.pad_size_divisor': 32}),
    upstream('mmdet::solo/solo_r50_fpn_1x_coco.py', FPN,
             {'mask_head.stacked_convs': 1, 'mask_head.feat_channels': 32,
              'mask_head.num_grids': [12, 10, 8, 6, 4]}),
    upstream('mmdet::yolact/yolact_r50_1xb8-55e_coco.py', FPN),
    upstream('mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py', FPN),
    upstream('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', MASKS),
    upstream('mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py', FPN, RPN,
             each(3, 'roi_head.bbox_head', fc_out_channels=32)),
    upstream('mmdet::htc/htc-without-semantic_r50_fpn_1x_coco.py', FPN, RPN,
             each(3, 'roi_head.bbox_head', fc_out_channels=32),
             each(3, 'roi_head.mask_head', num_convs=1)),
    upstream('mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py', FPN,
             {'rpn_head.num_proposals': 10},
             each(6, 'roi_head.bbox_head', feedforward_channels=32),
             each(6, 'roi_head.bbox_head', **{'dynamic_conv_cfg.feat_channels': 4})),
    upstream('mmdet::detr/detr_r50_8xb2-150e_coco.py', DETR, {'neck.in_channels': WIDTHS[3:]}),
    upstream('mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', DETR,
             {'neck.in_channels': WIDTHS[1:]}),
    upstream('mmdet::ddq/ddq-detr-4scale_r50_8xb2-12e_coco.py', DETR,
             {'neck.in_channels': WIDTHS[1:]}),
    upstream('mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic.py', MASK2FORMER),
]  # fmt: skip
SEGMENTERS = [
    upstream('mmseg::emanet/emanet_r50-d8_4xb2-80k_cityscapes-512x1024.py', FCN,
             {'decode_head.ema_channels': 16, 'decode_head.num_bases': 8}, fast=True),
    upstream('mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py', CROP,
             {'decode_head': {
                 '_delete_': True, 'type': 'LightHamHead', 'in_channels': [64, 160, 256],
                 'in_index': [1, 2, 3], 'channels': 32, 'ham_channels': 32, 'num_classes': 19,
                 'norm_cfg': {'type': 'GN', 'num_groups': 4},
                 'ham_kwargs': {'MD_R': 4, 'train_steps': 2, 'rand_init': False}}},
             name='ham'),
    upstream('mmseg::segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py', CROP),
    upstream('mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py', FCN),
    upstream('mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py', FCN,
             {'decode_head.c1_in_channels': 16, 'decode_head.c1_channels': 8}),
    upstream('mmseg::ocrnet/ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024.py', RESNET, CROP,
             each(2, 'decode_head', channels=16),
             {'decode_head.0.in_channels': 64, 'decode_head.1.in_channels': 128,
              'decode_head.1.ocr_channels': 16}),
    upstream('mmseg::upernet/upernet_r50_4xb2-80k_cityscapes-512x1024.py', FCN,
             {'decode_head.in_channels': WIDTHS}),
    upstream('mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py', RESNET, CROP,
             AUXILIARY, {'decode_head.kernel_generate_head.in_channels': 128}),
]  # fmt: skip
ESTIMATORS = [
    upstream('mmpose::body_2d_keypoint/topdown_heatmap/coco/'
             'td-hm_res50_8xb64-210e_coco-256x192.py', POSE,
             {'head.deconv_out_channels': (16, 16, 16), 'head.decoder.heatmap_size': (24, 32)},
             name='heatmap', size_hw=(128, 96)),
    upstream('mmpose::body_2d_keypoint/topdown_regression/coco/'
             'td-reg_res50_rle-8xb64-210e_coco-256x192.py', POSE, name='rle', size_hw=(128, 96)),
]  # fmt: skip
CLASSIFIERS = [
    upstream('mmpretrain::resnet/resnet50_8xb32_in1k.py', RESNET_CLASSIFIER,
             {'head.loss': {'type': 'SeesawLoss', 'num_classes': 5}},
             name='seesaw', logits=True, fast=True),
    upstream('mmpretrain::resnet/resnet50_8xb32_in1k.py', RESNET_CLASSIFIER,
             {'head.type': 'SpectralHead'}, name='spectral', logits=True, fast=True),
    upstream('mmpretrain::resnet/resnet50_8xb32_in1k.py', RESNET_CLASSIFIER,
             {'head.type': 'SpectralHead', 'head.by_hook': True}, name='spectral by hook'),
    upstream('mmpretrain::eva02/eva02-tiny-p14_in1k.py', CLASSIFIER,
             {'backbone.img_size': 56, 'head.in_channels': 24, 'backbone.arch': {
                 '_delete_': True, 'embed_dims': 24, 'num_layers': 3, 'num_heads': 2,
                 'feedforward_channels': 32}}, logits=True, size_hw=(56, 56)),
    upstream('mmpretrain::vision_transformer/vit-base-p16_64xb64_in1k.py', CLASSIFIER,
             {'backbone.img_size': 64, 'head.in_channels': 24, 'backbone.arch': {
                 '_delete_': True, 'embed_dims': 24, 'num_layers': 3, 'num_heads': 2,
                 'feedforward_channels': 32}}, logits=True, size_hw=(64, 64)),
    upstream('mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py', CLASSIFIER,
             {'backbone.img_size': 64, 'backbone.window_size': 2, 'backbone.pad_small_map': True,
              'backbone.arch': {'_delete_': True, 'embed_dims': 16, 'depths': [2, 2, 2, 2],
                                'num_heads': [1, 2, 2, 2]}}, logits=True, size_hw=(64, 64)),
    upstream('mmpretrain::convnext/convnext-tiny_32xb128_in1k.py', CLASSIFIER,
             {'backbone.arch': {'_delete_': True, 'depths': [2, 2, 2, 2], 'channels': WIDTHS}},
             logits=True, size_hw=(64, 64)),
    upstream('mmpretrain::mobilenet_v3/mobilenet-v3-small_8xb128_in1k.py', logits=True,
             size_hw=(64, 64)),
]  # fmt: skip


def bits(array: torch.Tensor | np.ndarray) -> tuple[Any, ...]:
    """An array as a value that equals another one bit for bit."""
    if isinstance(array, torch.Tensor):
        array = array.detach().numpy()
    return str(array.dtype), array.shape, array.tobytes()


def values_in(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The numbers, strings and arrays in an attribute, each with its path.

    Containers are entered, and so are the libraries' objects that are no modules (samplers,
    assigners): they have state too. A tensor with a graph is left out: no forward reads it, the
    next one replaces it.
    """
    children: Any = ()
    if isinstance(value, PLAIN):
        yield path, repr(value)
    elif isinstance(value, torch.Tensor):
        if value.grad_fn is None:
            yield path, bits(value)
    elif isinstance(value, np.ndarray):
        yield path, bits(value)
    elif isinstance(value, (set, frozenset)):
        yield path, sorted(map(repr, value))
    elif id(value) in seen:
        return
    elif isinstance(value, dict):
        children = ((f'[{key!r}]', child) for key, child in value.items())
    elif isinstance(value, (list, tuple)):
        yield f'len({path})', len(value)
        children = ((f'[{index}]', child) for index, child in enumerate(value))
    elif type(value).__module__.partition('.')[0] in LIBRARIES and hasattr(value, '__dict__'):
        children = ((f'.{name}', child) for name, child in vars(value).items())
    seen.add(id(value))
    for name, child in children:
        yield from values_in(child, path + name, seen)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything that a model is, but its gradients: name -> value."""
    modules = dict(model.named_modules())
    seen = {id(module) for module in modules.values()}
    state = {}
    for prefix, module in modules.items():
        for name, value in vars(module).items():
            if name not in INTERNAL:
                state.update(values_in(value, f'{prefix}.{name}', seen))
    for named in (model.named_parameters, model.named_buffers):
        state.update((name, bits(tensor)) for name, tensor in named(remove_duplicate=False))
    return state


class Observer(Hook):
    """Keeps what each iteration leaves: logged values, the model's state, random states."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.iterations: list[dict[str, Any]] = []
        self.stimulated = 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        state = {f'log: {name}': bits(value) for name, value in outputs.items()}
        state['random state of python'] = hash(random.getstate())
        state['random state of numpy'] = hash(pickle.dumps(np.random.get_state()))
        state['random state of torch'] = hash(bits(torch.get_rng_state()))
        self.iterations.append({**state, **state_of(runner.model)})
        losses = runner.message_hub.log_scalars.get('train/subnet/loss')
        self.stimulated = len(losses.data[0]) if losses else 0


def differences(plain: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [
        f'{name}: {show(plain.get(name))} plain, {show(other.get(name))} with subnets'
        for name in sorted(plain.keys() | other.keys())
        if plain.get(name) != other.get(name)
    ]


def show(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    dtype, shape, data = value
    return f'{np.frombuffer(data, dtype)[:4]} of shape {shape}'


def gradients(runner) -> dict[str, torch.Tensor]:
    """Momentum that the optimiser has gathered of the gradients, by parameter."""
    state = runner.optim_wrapper.optimizer.state
    parameters = runner.model.named_parameters()
    return {name: state[p]['momentum_buffer'] for name, p in parameters if p in state}


@pytest.fixture
def spectral_head():
    """Registers a head of mmpretrain whose layer has spectral norm, of the new or the old kind."""
    from mmpretrain.models import LinearClsHead
    from mmpretrain.registry import MODELS

    @MODELS.register_module(force=True)
    class SpectralHead(LinearClsHead):
        def __init__(self, by_hook=False, **arguments):
            super().__init__(**arguments, init_cfg=None)
            utils = nn.utils if by_hook else nn.utils.parametrizations
            self.fc = utils.spectral_norm(self.fc)


@pytest.mark.parametrize(
    'case', [*DETECTORS, *SEGMENTERS, *ESTIMATORS, *CLASSIFIERS], indirect=True
)
def test_only_gradients_differ(train, spectral_head):
    plain, stimulated = Observer(), Observer()
    runners = train(False, plain), train(True, stimulated)
    assert stimulated.stimulated == len(plain.iterations) > 1
    for step, (one, other) in enumerate(zip(plain.iterations, stimulated.iterations, strict=True)):
        found = differences(one, other)
        if found:
            text = '\n'.join(found[:20])
            pytest.fail(f'{len(found)} differences in iteration {step}\n{text}', pytrace=False)
    one, other = map(gradients, runners)
    assert one.keys() <= other.keys()
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


class Toy(nn.Module):
    """State of every kind."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.register_buffer('sum', torch.zeros(2))
        self.history, self.counter = [], 0
        self.cfg = {'thresholds': (0.5, np.float64(0.25)), 'names': {'a'}}
        self.assigner = MaxIoUAssigner(0.5, 0.5)
        self.graph = self.layer.weight * 2


CHANGES = {
    'sum': lambda toy: toy.sum[0].add_(1),
    'sum,new kind': lambda toy: setattr(toy, 'sum', toy.sum.double()),
    'late': lambda toy: toy.register_buffer('late', torch.zeros(1)),
    'layer.weight': lambda toy: toy.layer.weight.data.add_(1),
    '.history[0]': lambda toy: toy.history.append(1.5),
    '.counter': lambda toy: setattr(toy, 'counter', 1),
    ".cfg['thresholds'][1]": lambda toy: toy.cfg.update(thresholds=(0.5, np.float64(0.125))),
    ".cfg['names']": lambda toy: toy.cfg['names'].add('b'),
    '.assigner.pos_iou_thr': lambda toy: setattr(toy.assigner, 'pos_iou_thr', 0.4),
}


@pytest.mark.parametrize('name', CHANGES)
def test_a_change_of_any_kind_is_seen(name):
    toy = Toy()
    before = state_of(toy)
    toy.graph = toy.layer.weight * 3
    assert not differences(before, state_of(toy))
    CHANGES[name](toy)
    found = [line.partition(':')[0] for line in differences(before, state_of(toy))]
    assert name.partition(',')[0] in found
