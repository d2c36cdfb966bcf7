"""Entry of subnet passes into the main network's forward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from .batch import copy_samples_of
from .main_backward import MainBackward
from .supervision import check_logits

__all__ = ['MainCall', 'MainForward']


@dataclass(frozen=True)
class MainCall:
    """Batch that the main network is trained on in one forward.

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
        teacher: Module whose output the callback wants.
        backward: Runs the backward of the losses before the callback. With it or a teacher the
            callback comes after the forward, without both before it.
    """

    def __init__(
        self, model: BaseModel, teacher: nn.Module | None, backward: MainBackward | None = None
    ) -> None:
        self._model = model
        self._teacher = teacher
        self._backward = backward
        self._arguments = _Arguments.of(model)
        self._handles: list[Any] = []
        self._other_calls: list[str] = []
        self._is_armed = False

    def arm(self, callback: Callable[[MainCall], None]) -> None:
        """Lets the next such forward call back, once."""
        self.disarm()
        outputs: list[Any] = []
        samples: list[Sequence[Any]] = []

        def call_first(model: nn.Module, args: tuple, kwargs: dict) -> None:
            if call := self._training_call(args, kwargs):
                self.disarm()
                callback(call)

        def copy_samples(model: nn.Module, args: tuple, kwargs: dict) -> None:
            if call := self._training_call(args, kwargs):
                samples.append(copy_samples_of(call.data_samples))

        def call_last(model: nn.Module, args: tuple, kwargs: dict, losses: Any) -> Any:
            call = self._training_call(args, kwargs)
            if call is None or not samples:
                return None
            self.disarm()
            if losses is None:  # the forward has failed
                return None
            logits = check_logits(outputs).detach() if self._teacher is not None else None
            if self._backward is not None:
                losses = self._backward.run(losses)
            callback(replace(call, data_samples=samples[-1], logits=logits))
            return losses

        if self._teacher is None and self._backward is None:
            self._handles = [self._model.register_forward_pre_hook(call_first, with_kwargs=True)]
        else:
            self._handles = [
                # Some heads change the data samples that they are given.
                self._model.register_forward_pre_hook(copy_samples, with_kwargs=True),
                self._model.register_forward_hook(call_last, with_kwargs=True, always_call=True),
            ]
        if self._teacher is not None:
            record = self._teacher.register_forward_hook(
                lambda _module, _args, output: outputs.append(output)
            )
            self._handles.append(record)
        self._is_armed = True

    def disarm(self) -> None:
        """Takes the callback back; does nothing if there is none."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._other_calls = []
        self._is_armed = False
        if self._backward is not None:
            self._backward.forget()

    def check_called(self, step: int) -> None:
        """Raises unless the forward has called back since it was armed.

        Args:
            step: Training iteration, for the message.

        Raises:
            RuntimeError: It has not, so that no subnet was trained.
        """
        if not self._is_armed:
            return
        calls = '; '.join(dict.fromkeys(self._other_calls)) or 'none'
        raise RuntimeError(
            f"train_step of {type(self._model).__name__} must call the model with mode='loss', in "
            'training mode and with gradients, for subnets to be trained, got no such call in '
            f'iteration {step} (calls: {calls}). Let it call self(inputs, data_samples, '
            "mode='loss'), or take the StimulativeHook out of the config"
        )

    def _training_call(self, args: tuple, kwargs: dict) -> MainCall | None:
        arguments = self._arguments.bind(args, kwargs)
        wanted = self._arguments.wanted
        problems = [f'no {name}' for name in wanted if name not in arguments]
        if arguments.get('mode') != 'loss':
            problems.append(f'mode={arguments.get("mode")!r}')
        if not self._model.training:
            problems.append('evaluation mode')
        if not torch.is_grad_enabled():
            problems.append('no gradients')
        if problems:
            self._other_calls.append(', '.join(problems))
            return None
        return MainCall(*(arguments[name] for name in wanted))


@dataclass(frozen=True)
class _Arguments:
    """Names of the arguments of a model's forward.

    Where a forward hands on all its arguments, they are those of ``BaseModel.forward``.

    Args:
        positional: Names of those that may be given by position, in their order.
        wanted: Names of images and data samples.
        defaults: Values of those that may be left out.
    """

    positional: tuple[str, ...] = ('inputs', 'data_samples', 'mode')
    wanted: tuple[str, ...] = ('inputs', 'data_samples')
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: BaseModel) -> _Arguments:
        kinds = inspect.Parameter
        parameters = inspect.signature(model.forward).parameters
        named = {
            name: parameter
            for name, parameter in parameters.items()
            if parameter.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
        }
        others = [name for name in named if name != 'mode']
        if 'mode' not in named or len(others) < 2:
            return cls()
        positional = [name for name, p in named.items() if p.kind is not kinds.KEYWORD_ONLY]
        defaults = {name: p.default for name, p in named.items() if p.default is not kinds.empty}
        return cls(tuple(positional), tuple(others[:2]), defaults)

    def bind(self, args: tuple, kwargs: dict) -> dict[str, Any]:
        """Returns the values of a call by name."""
        return {**self.defaults, **dict(zip(self.positional, args, strict=False)), **kwargs}
