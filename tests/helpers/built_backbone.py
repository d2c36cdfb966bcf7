"""The backbone that a config builds, and its weights."""

import torch
from mmengine.registry import MODELS


def built(cfg):
    """Builds the backbone of a config and initialises its weights."""
    with MODELS.switch_scope_and_registry(cfg.default_scope) as registry:
        backbone = registry.build(cfg.model.backbone)
    backbone.init_weights()
    return backbone


def same(backbone, state_dict):
    """Tells whether a backbone has all tensors of a state dict, with their values."""
    own = backbone.state_dict()
    return all(torch.equal(own[name], value) for name, value in state_dict.items())
