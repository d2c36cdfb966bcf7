"""``--eval-subnets``: subnets watched during training."""

from __future__ import annotations

from mmengine.config import Config, ConfigDict

from .training import import_mmst
from .traversal import type_name

__all__ = ['is_subnet_eval', 'set_subnet_eval']

TYPE = 'mmst.SubnetEvalHook'


def set_subnet_eval(cfg: Config, number: int) -> Config:
    """Lets each validation evaluate subnets too, in place; see :class:`mmst.SubnetEvalHook`.

    Other settings of a hook that the config has stay.

    Args:
        cfg: Config of a training.
        number: How many subnets.

    Returns:
        ``cfg``.

    Raises:
        ValueError: ``number`` is less than 1, or the config has no validation.
    """
    if number < 1:
        raise ValueError(f'--eval-subnets must be at least 1, got {number}')
    if not cfg.get('val_dataloader'):
        raise ValueError(
            '--eval-subnets needs a validation, got none: the config has no val_dataloader, or '
            '--no-validate removed it; leave one of them out'
        )
    found = [hook for hook in cfg.get('custom_hooks') or [] if is_subnet_eval(hook)]
    if found:
        found[0].subnets = number
        return cfg
    hooks = ConfigDict(cfg.get('default_hooks') or {})
    names = [name for name in hooks if is_subnet_eval(hooks[name])]
    name = names[0] if names else 'subnet_eval'
    # --cfg-options may have set others than the type: default_hooks.subnet_eval.recalibrate=20
    hooks[name] = ConfigDict(hooks.get(name) or {}, type=TYPE, subnets=number)
    cfg.default_hooks = hooks
    import_mmst(cfg)
    return cfg


def is_subnet_eval(hook: object) -> bool:
    """Tells whether a node of a config is a ``SubnetEvalHook``."""
    return isinstance(hook, dict) and type_name(hook) == TYPE.rpartition('.')[2]
