"""Backbones of the OpenMMLab libraries whose blocks cannot be skipped, with reasons.

An adapter that is registered for one of these classes nevertheless is taken, see
:func:`mmst.core.register_residual_stages`.
"""

from __future__ import annotations

__all__ = ['REFUSALS']

_WRAPPED = (
    'runs the ResNet of its backbone_cfg itself, as one of its parts. Give that one the type: '
    "backbone_cfg=dict(type='mmst.STBackbone', wraps='ResNet', ...)"
)

_REASONS = {
    f'on images of several scales it {_WRAPPED}': 'mmseg:icnet.ICNet',
    f'it {_WRAPPED}': 'mmseg:bisenetv1.BiSeNetV1',
    'it runs a diffusion model': 'mmseg:vpd.VPD',
    'it has no residual blocks': (
        'mmdet:ssd_vgg.SSDVGG mmseg:unet.UNet '
        'mmpose:alexnet.AlexNet mmpose:cpm.CPM mmpose:vgg.VGG '
        'mmpretrain:alexnet.AlexNet mmpretrain:densenet.DenseNet '
        'mmpretrain:inception_v3.InceptionV3 mmpretrain:lenet.LeNet5 mmpretrain:vgg.VGG'
    ),
    'its residual blocks lie in parallel branches, which exchange features': (
        'mmseg:ddrnet.DDRNet mmseg:pidnet.PIDNet'
    ),
    'its residual blocks lie in several encoders and decoders': (
        'mmdet:hourglass.HourglassNet mmpose:hourglass.HourglassNet '
        'mmpose:hourglass_ae.HourglassAENet'
    ),
    'its blocks shuffle channels instead of adding to their input': (
        'mmpose:litehrnet.LiteHRNet '
        'mmpose:shufflenet_v2.ShuffleNetV2 mmpretrain:shufflenet_v2.ShuffleNetV2'
    ),
    'the shortcuts of its blocks are norm layers instead of identities': (
        'mmpretrain:mobileone.MobileOne mmpretrain:repvgg.RepVGG'
    ),
    'its layers compute their gradients by a method of their own': (
        'mmpretrain:revvit.RevVisionTransformer'
    ),
    "its modules concatenate features without a shortcut (bottleneck_type='cat')": (
        'mmseg:stdc.STDCNet mmseg:stdc.STDCContextPathNet'
    ),
    'only the first half of its layers has a shortcut': 'mmpretrain:convmixer.ConvMixer',
    'the blocks of its third stage pass a list of three branches instead of one tensor': (
        'mmdet:trident_resnet.TridentResNet'
    ),
    'its inputs are keypoints instead of images': 'mmpose:dstformer.DSTFormer mmpose:tcn.TCN',
    'its inputs are volumes instead of images': 'mmpose:v2v_net.V2VNet',
}

REFUSALS = {
    f'{library}.models.backbones.{cls}': reason
    for reason, classes in _REASONS.items()
    for library, _, cls in (entry.partition(':') for entry in classes.split())
}
"""Reasons by the dotted name of a class; its subclasses inherit its reason."""
