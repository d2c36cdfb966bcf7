"""Config of a small image classifier."""

from mmengine.config import Config


def classifier_config(
    backbone, channels=64, classes=7, scope='mmpretrain', kind='ImageClassifier', **model
):
    """Makes the config of a classifier with a backbone of that many output channels."""
    head = {'type': 'LinearClsHead', 'num_classes': classes, 'in_channels': channels}
    neck = {'type': 'GlobalAveragePooling'}
    parts = {'type': kind, 'backbone': backbone, 'neck': neck, 'head': head, **model}
    return Config({'default_scope': scope, 'model': parts})
