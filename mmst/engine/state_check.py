"""A check, in the first subnet pass of a run, that passes leave nothing behind but gradients."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmst.core.state_guard import record_state, record_value

__all__ = ['checked_pass']


@contextmanager
def checked_pass(model: nn.Module, data_samples: Any) -> Iterator[None]:
    """Compares a model and its data samples after a subnet pass with themselves before.

    A plain attribute that has changed is reported with the way to register it: the main network may
    train differently than it would alone.

    Args:
        model: The whole model.
        data_samples: The main network's.

    Raises:
        ValueError: The pass has changed a parameter or a data sample, which nothing puts back.
    """
    before, samples_before = record_state(model), record_value(data_samples)
    yield
    _check_samples(model, data_samples, samples_before)
    after = record_state(model)
    if changed := before.changed_parameters(after):
        raise ValueError(
            'model must leave its parameters to the optimiser, got some that a forward of '
            f'{type(model).__name__} changes by itself: {", ".join(changed[:3])} '
            f'({len(changed)} in all). Each subnet pass would change them once more. Models with a '
            'momentum encoder or with prototypes cannot be stimulated'
        )
    for module_class, name in before.changed_attributes(after):
        class_name = module_class.rpartition('.')[2]
        print_log(
            f'A subnet pass changed {name!r} of {class_name}. If later iterations depend on it, '
            'the main network trains differently than without subnets. Preserve it with '
            f"mmst.core.register_state('{module_class}', '{name}')",
            logger='current',
            level=logging.WARNING,
        )


def _check_samples(model: nn.Module, data_samples: Any, before: Any) -> None:
    after = record_value(data_samples)
    if after == before:
        return
    names = ', '.join(sorted(_changed(before, after)))
    raise ValueError(
        "model must leave the main network's data_samples as they are in a subnet pass, got "
        f'{type(model).__name__}, which changes {names}. Let its head or loss change a copy. '
        'Labels of mmpretrain, which subnets share with the main network, are copied for each pass '
        'if a function that copies is registered for them: '
        "@mmst.register_ground_truth(DataSample, 'gt_label') on (value, resize) -> value.clone()"
    )


def _changed(before: Any, after: Any) -> set[str]:
    """Names of what differs in recorded objects."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = before.keys() | after.keys()
        return {name for name in names if before.get(name) != after.get(name)}
    if isinstance(before, list) and isinstance(after, list):
        pairs = zip(before, after, strict=False)
        return set().union(*(_changed(old, new) for old, new in pairs))
    return set()
