"""Search for the ``StimulativeHook`` of a config."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config, ConfigDict

from .traversal import type_name

__all__ = ['find_stimulative_hook', 'is_stimulative', 'stimulative_hook']


def find_stimulative_hook(cfg: Config) -> ConfigDict:
    """Returns the settings of a config's ``StimulativeHook``.

    Raises:
        ValueError: There is no such hook, or several.
    """
    hook = stimulative_hook(cfg)
    if hook is None:
        raise ValueError(_one_hook(0))
    return hook


def stimulative_hook(cfg: Config) -> ConfigDict | None:
    """Returns the settings of a config's ``StimulativeHook``, None if it has none.

    Raises:
        ValueError: There are several.
    """
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    found = [hook for hook in hooks if is_stimulative(hook)]
    if len(found) > 1:
        raise ValueError(_one_hook(len(found)))
    return found[0] if found else None


def _one_hook(count: int) -> str:
    return (
        f'config must have one mmst.StimulativeHook, got {count}; give a config of a stimulative '
        'training, e.g. configs/faster_rcnn_r50_st.py'
    )


def is_stimulative(hook: Any) -> bool:
    """Tells whether a node of a config is a ``StimulativeHook``."""
    return isinstance(hook, dict) and type_name(hook) == 'StimulativeHook'
