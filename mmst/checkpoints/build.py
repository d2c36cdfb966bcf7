"""Models built from a config, to compare files with them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from torch import nn

__all__ = ['build_backbone', 'build_model', 'build_module', 'unfreezing_arguments']


def build_backbone(cfg: Config, backbone: ConfigDict) -> nn.Module:
    """Builds the backbone of a config, to see its keys and attributes."""
    return build_module(cfg, {**backbone, 'init_cfg': None})


def build_model(cfg: Config) -> nn.Module:
    """Builds the model of a config, to check whether weights fit it."""
    preprocessor = cfg.get('data_preprocessor')
    defaults = {} if preprocessor is None else {'data_preprocessor': preprocessor}
    return build_module(cfg, {**defaults, **cfg.model})


def build_module(cfg: Config, module: Mapping[str, Any]) -> nn.Module:
    """Builds a part of the model of a config as the model would."""
    scope = cfg.model.get('_scope_') or cfg.get('default_scope')
    with MODELS.switch_scope_and_registry(scope) as registry:
        return registry.build(ConfigDict(copy.deepcopy(module)))


def unfreezing_arguments(cfg: Config, backbone: ConfigDict) -> dict[str, Any]:
    """Returns the arguments with which no stage of a backbone is frozen and norm layers learn.

    Args:
        cfg: Config of the model.
        backbone: Config of its backbone.

    Returns:
        Those of ``frozen_stages`` and ``norm_eval`` that the built backbone has otherwise.
    """
    built = build_backbone(cfg, backbone)
    # No frozen stage is -1 in ResNets and 0 in EfficientNets, the default of each.
    live = {'frozen_stages': _default(type(built), 'frozen_stages'), 'norm_eval': False}
    return {name: value for name, value in live.items() if getattr(built, name, value) != value}


def _default(cls: type, argument: str) -> Any:
    """Default of an argument of a class, or of the first of its parents that has it."""
    for parent in cls.__mro__:
        constructor = vars(parent).get('__init__')
        parameters = inspect.signature(constructor).parameters if constructor else {}
        if argument in parameters:
            return parameters[argument].default
    return None
