"""A check, in the first subnet pass of a run, that passes leave no state behind."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import print_log
from torch import nn

from mmst.core.state_guard import record_state

__all__ = ['checked_state']


@contextmanager
def checked_state(model: nn.Module) -> Iterator[None]:
    """Compares a model after a subnet pass with its state before.

    A plain attribute that has changed is reported with the way to register it: the main network may
    train differently than it would alone.

    Args:
        model: The whole model.

    Raises:
        ValueError: The pass has changed a parameter, which nothing puts back.
    """
    before = record_state(model)
    yield
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
