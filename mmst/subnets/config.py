"""The config of an exported subnet, and the one in which subnets are compared."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmengine.config import Config, ConfigDict

from mmst.config.stimulative_hook import is_stimulative
from mmst.config.subnet_eval import is_subnet_eval
from mmst.config.training import import_mmst, remove_pretrained, wrap_backbone

__all__ = ['make_subnet_config', 'use_validation_data']


def make_subnet_config(cfg: Config, depths: Sequence[int], checkpoint: str) -> Config:
    """Returns the config of a network that is one of the subnets for good.

    It is an ordinary config that depends on no other file: the backbone is an ``STBackbone`` with
    ``depths``, training starts from the exported checkpoint, and neither stimulative training nor
    an evaluation of subnets is left (fewer blocks have fewer subnets, whose choices are the user's
    to make again).

    Args:
        cfg: Config of the whole network, stimulative or not, that is not changed.
        depths: Leading blocks kept in each stage.
        checkpoint: Name of the exported checkpoint, which lies beside the config.

    Raises:
        ValueError: The config has no ``model.backbone``.
    """
    exported = copy.deepcopy(cfg)
    backbone = (exported.get('model') or {}).get('backbone')
    if not isinstance(backbone, dict):
        raise ValueError(
            f'config must have model.backbone to take a subnet of it, got {backbone!r}; give the '
            'config that the checkpoint was trained with'
        )
    _make_shallow(backbone, depths)
    remove_pretrained(exported.model)
    _remove_hooks(exported)
    import_mmst(exported)
    for name in ('work_dir', 'launcher'):
        exported.pop(name, None)
    # mmengine puts the folder of the config in, wherever it is moved and read from.
    exported.load_from, exported.resume = f'{{{{ fileDirname }}}}/{checkpoint}', False
    return exported


def use_validation_data(cfg: Config) -> Config:
    """Makes tests use the validation data, in place: subnets must not be chosen by test data.

    Raises:
        ValueError: The config has no validation.
    """
    missing = [name for name in ('val_dataloader', 'val_evaluator') if not cfg.get(name)]
    if missing:
        raise ValueError(
            f'choosing a subnet needs {" and ".join(missing)} in the config, got none; add '
            'them, or name the subnet with --depths'
        )
    cfg.test_dataloader = copy.deepcopy(cfg.val_dataloader)
    cfg.test_evaluator = copy.deepcopy(cfg.val_evaluator)
    cfg.test_cfg = ConfigDict(cfg.get('test_cfg') or {})
    return cfg


def _make_shallow(backbone: ConfigDict, depths: Sequence[int]) -> None:
    wrap_backbone(backbone)
    for name in ('choices', 'rule'):
        backbone.pop(name, None)
    backbone.depths = list(depths)


def _remove_hooks(exported: Config) -> None:
    """Removes the hooks that need subnets, also from variables of the config that hold them."""
    for holder in (exported, exported.get('default_hooks') or {}):
        for name in [name for name in holder if _needs_subnets(holder[name])]:
            holder.pop(name)
    if exported.get('custom_hooks'):
        kept = [hook for hook in exported.custom_hooks if not _needs_subnets(hook)]
        exported.custom_hooks = kept


def _needs_subnets(node: object) -> bool:
    return is_stimulative(node) or is_subnet_eval(node)
