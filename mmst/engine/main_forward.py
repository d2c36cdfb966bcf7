"""Where subnet passes enter the main network's forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from .supervision import check_logits

__all__ = ['MainCall', 'MainForward']


@dataclass(frozen=True)
class MainCall:
    """What the main network is trained on in one forward.

    Args:
        inputs: Preprocessed images of shape (B, C, H, W).
        data_samples: Their B data samples.
        logits: Output of the teacher's module, detached, of shape (B, number of classes); None
            before the forward.
    """

    inputs: Tensor
    data_samples: Sequence[Any]
    logits: Tensor | None = None

    def logits_of(self, images: Sequence[int] | None) -> Tensor | None:
        """Returns the logits of the images at some positions (None: of all)."""
        if self.logits is None or images is None:
            return self.logits
        return self.logits[list(images)]


class MainForward:
    """Calls back when a model computes its loss for training: ``mode='loss'``, with gradients.

    Args:
        model: The model, without distributed wrapper.
        teacher: Module whose output the callback wants. With one the callback comes after the
            forward, without before it.
    """

    def __init__(self, model: BaseModel, teacher: nn.Module | None) -> None:
        self._model = model
        self._teacher = teacher
        self._signature = inspect.signature(model.forward)
        self._handles: list[Any] = []

    def arm(self, callback: Callable[[MainCall], None]) -> None:
        """Lets the next such forward call back, once."""
        self.disarm()
        outputs: list[Any] = []

        def before(model: nn.Module, args: tuple, kwargs: dict) -> None:
            if call := self._training_call(args, kwargs):
                self.disarm()
                callback(MainCall(**call))

        def after(model: nn.Module, args: tuple, kwargs: dict, losses: Any) -> None:
            if call := self._training_call(args, kwargs):
                self.disarm()
                if losses is not None:  # None: the forward has failed
                    callback(MainCall(**call, logits=check_logits(outputs).detach()))

        if self._teacher is None:
            handles = [self._model.register_forward_pre_hook(before, with_kwargs=True)]
        else:
            record = self._teacher.register_forward_hook(
                lambda _module, _args, output: outputs.append(output)
            )
            handles = [
                record,
                self._model.register_forward_hook(after, with_kwargs=True, always_call=True),
            ]
        self._handles = handles

    def disarm(self) -> None:
        """Takes the callback back; does nothing if there is none."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _training_call(self, args: tuple, kwargs: dict) -> dict[str, Any] | None:
        call = self._signature.bind(*args, **kwargs).arguments
        if call.get('mode') != 'loss' or not self._model.training or not torch.is_grad_enabled():
            return None
        return {'inputs': call['inputs'], 'data_samples': call['data_samples']}
