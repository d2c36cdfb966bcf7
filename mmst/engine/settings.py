"""The arguments of :class:`~mmst.StimulativeHook`: name, type, default and rule of each, once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from mmst.core import weight_factor
from mmst.core.subset import check_batch_fraction

__all__ = ['StimulativeSettings']

Config = Mapping[str, Any]
Check = Callable[[str, Any], object]


def _rule(check: Check) -> dict[str, Check]:
    """Makes a field's metadata of a function that takes its name and value, and may raise."""
    return {'rule': check}


def _config(example: str, optional: bool = False) -> dict[str, Check]:
    def check(name: str, value: Any) -> None:
        if not (isinstance(value, Mapping) and 'type' in value or optional and value is None):
            raise ValueError(
                f"{name} must be a config with a type, e.g. dict(type='mmst.{example}'), "
                f'got {value!r}'
            )

    return _rule(check)


def _integer(least: int) -> dict[str, Check]:
    def check(name: str, value: Any) -> None:
        if type(value) is not int or value < least:
            raise ValueError(f'{name} must be an integer of at least {least}, got {value!r}')

    return _rule(check)


def _one_of(*choices: str | None) -> dict[str, Check]:
    def check(name: str, value: Any) -> None:
        if value not in choices:
            raise ValueError(f'{name} must be one of {choices}, got {value!r}')

    return _rule(check)


def _check_weight(name: str, value: Any) -> None:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
        raise ValueError(
            f'{name} must be a finite number of at least 0, got {value!r}; the paper uses 1.0'
        )


@dataclass(frozen=True, eq=False)
class StimulativeSettings:
    """Settings of a user. :class:`~mmst.StimulativeHook`, which has it as a base, documents it.

    Raises:
        ValueError: An argument is out of range.
    """

    supervision: Config = field(metadata=_config('GroundTruthSupervision'))
    inputs: Config | None = field(
        default=None, metadata=_config('RandomSmallerInput', optional=True)
    )
    num_subnets: int = field(default=1, metadata=_integer(least=1))
    weight: float = field(default=1.0, metadata=_rule(_check_weight))
    begin: int = field(default=0, metadata=_integer(least=0))
    by_epoch: bool = False
    interval: int = field(default=1, metadata=_integer(least=1))
    batch_fraction: float = field(
        default=1.0, metadata=_rule(lambda name, value: check_batch_fraction(value))
    )
    weight_schedule: str = field(
        default='constant', metadata=_rule(lambda name, value: weight_factor(value, 0.0))
    )
    order: str | None = field(default=None, metadata=_one_of('main_first', 'subnets_first', None))
    norm: str = field(default='isolated', metadata=_one_of('isolated', 'shared'))
    on_nonfinite: str = field(default='stop', metadata=_one_of('stop', 'skip'))
    seed: int | None = None

    def __post_init__(self) -> None:
        for setting in fields(self):
            if 'rule' in setting.metadata:
                setting.metadata['rule'](setting.name, getattr(self, setting.name))

    def as_text(self) -> dict[str, str]:
        """Returns each setting as text, by name."""
        values = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        values.update(supervision=dict(self.supervision), inputs=self.inputs and dict(self.inputs))
        return {name: str(value) for name, value in values.items()}
