"""Modules of other libraries that keep state in plain attributes: class and attributes.

Their forward or loss in training mode changes these attributes, or those of an object that they
hold (``'bbox_assigner.pos_iou_thr'``). Buffers are found without a table.
"""

from __future__ import annotations

__all__ = ['STATEFUL_ATTRIBUTES']

_ROTARY = 'timm.layers.pos_embed_sincos.'
_SAMPLERS = ('floor_thr', 'neg_sampler.floor_thr')
"""IoUBalancedNegSampler draws from other sets in its first call than later."""

STATEFUL_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    # Counters and histories.
    'mmdet.models.dense_heads.ddod_head.DDODHead': ('cls_num_pos_samples_per_level',),
    'mmdet.models.layers.dropblock.DropBlock': ('iter_cnt',),
    'mmdet.models.roi_heads.dynamic_roi_head.DynamicRoIHead': (
        'iou_history',
        'beta_history',
        *(f'bbox_assigner.{name}' for name in ('pos_iou_thr', 'neg_iou_thr', 'min_pos_iou')),
    ),
    'mmdet.models.losses.smooth_l1_loss.SmoothL1Loss': ('beta',),  # set by DynamicRoIHead
    'mmpose.models.losses.regression_loss.SemiSupervisionLoss': ('num_iterations',),
    # Set once, by the first forward.
    'mmdet.models.dense_heads.base_dense_head.BaseDenseHead': (
        *(f'sampler.{name}' for name in _SAMPLERS),
        '_raw_positive_infos',
    ),
    'mmdet.models.roi_heads.base_roi_head.BaseRoIHead': tuple(
        f'bbox_sampler.{name}' for name in _SAMPLERS
    ),
    'mmdet.models.dense_heads.vfnet_head.VFNetHead': ('norm_on_bbox',),
    'mmpretrain.models.losses.label_smooth_loss.LabelSmoothLoss': ('num_classes',),
    # Sizes that buffers were made for.
    'mmpretrain.models.utils.position_encoding.RotaryEmbeddingFast': ('patch_resolution',),
    f'{_ROTARY}RotaryEmbedding': ('feat_shape',),
    f'{_ROTARY}RotaryEmbeddingCat': ('feat_shape',),
    f'{_ROTARY}RotaryEmbeddingMixed': ('feat_shape',),
    f'{_ROTARY}RotaryEmbeddingDinoV3': ('feat_shape',),
    # Values of the last forward, some with its graph; a backward may still read them.
    'mmdet.models.dense_heads.atss_vlfusion_head.ATSSVLFusionHead': ('text_masks',),
    'mmdet.models.dense_heads.grounding_dino_head.GroundingDINOHead': ('text_masks',),
    'mmdet.models.dense_heads.tood_head.TOODHead': ('epoch',),
    'mmdet.models.detectors.ddq_detr.DDQDETR': ('cache_dict',),
    'mmdet.models.losses.eqlv2_loss.EQLV2Loss': ('n_i', 'n_c', 'gt_classes', 'pred_class_logits'),
    'mmdet.models.roi_heads.cascade_roi_head.CascadeRoIHead': ('current_stage',),
    'mmpretrain.models.backbones.revvit.RevTransformerEncoderLayer': ('seeds',),
    'mmpretrain.models.selfsup.maskfeat.HOGGenerator': ('h', 'w', 'out', 'unfold_size'),
}
