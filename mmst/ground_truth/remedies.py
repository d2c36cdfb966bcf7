"""Remedies where a subnet cannot have smaller inputs, for messages."""

__all__ = ['FULL_SIZE', 'KEEP_CANVAS']

FULL_SIZE = 'train subnets at full size (inputs=None)'
KEEP_CANVAS = (
    "set inputs=dict(type='mmst.RandomSmallerInput', canvas='keep'), which pads smaller images to "
    f'the old size, or {FULL_SIZE}'
)
