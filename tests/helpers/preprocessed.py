"""The parts of a model that the resize of its ground truth reads."""

from torch import nn


class Preprocessed(nn.Module):
    """A data preprocessor and, for pose estimators, a head with its codec."""

    def __init__(self, preprocessor, codec=None):
        super().__init__()
        self.data_preprocessor = preprocessor
        self.head = nn.Module()
        self.head.decoder = codec
