"""Supervision of subnets: the ground truth, or the logits of the main network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from .registry import MODELS, SUPERVISIONS

__all__ = ['GroundTruthSupervision', 'LogitSupervision', 'check_logits']

Values = Mapping[str, Tensor]


@SUPERVISIONS.register_module()
class GroundTruthSupervision:
    """The task's own loss on the ground truth that belongs to the subnet's input.

    This is ST*, the fine-tuning of every downstream task (ST++ section 4.2.2). Subnets run before
    the main network unless the hook's ``order`` says otherwise: none of its graph is in memory yet.
    """

    def teacher(self, model: BaseModel) -> nn.Module | None:
        """Returns the module whose output in the main network is needed: none."""
        return None

    def losses(
        self,
        model: BaseModel,
        inputs: Tensor,
        data_samples: Sequence[BaseDataElement],
        logits: Tensor | None = None,
    ) -> tuple[Tensor, Values]:
        """Computes the loss of the subnet that is active in ``model``.

        Args:
            model: The model whose backbone runs as the subnet.
            inputs: Preprocessed images of shape (B, C, H, W).
            data_samples: B samples with the ground truth at that size.
            logits: The teacher's; not used.

        Returns:
            The sum to be minimised, a scalar with graph, and all values to be logged, ``'loss'``
            among them.
        """
        # Not model(...): that would run the forward hooks, and this method is called by one.
        return model.parse_losses(model.forward(inputs, data_samples, mode='loss'))

    def __repr__(self) -> str:
        return 'ground truth'


@SUPERVISIONS.register_module()
class LogitSupervision:
    """The main network's logits of the same iteration, and optionally the ground truth.

    This is the supervision of ImageNet pre-training (ST++ section 3.2.3). Subnets run after the
    main network, whose logits are taken, detached, from the forward that it makes anyway. Its graph
    is free by then, unless the hook's ``order`` is ``'subnets_first'``.

    Args:
        loss: Config of a loss of (student, teacher) logits, each of shape (N, number of classes),
            e.g. ``dict(type='mmst.KLDivLoss')``, ``dict(type='mmst.KLMinusLoss')``, or a registered
            module of your own.
        ground_truth_weight: Weight of the task's own loss, added to it.
        logits_from: Name of the module of the model whose output the logits are.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        loss: Mapping[str, Any],
        ground_truth_weight: float = 0.0,
        logits_from: str = 'head',
    ) -> None:
        if not (isinstance(loss, Mapping) and 'type' in loss):
            raise ValueError(
                "loss must be a config with a type, e.g. dict(type='mmst.KLMinusLoss'), "
                f'got {loss!r}'
            )
        if not ground_truth_weight >= 0:
            raise ValueError(f'ground_truth_weight must be at least 0, got {ground_truth_weight!r}')
        self.loss = MODELS.build(dict(loss))
        if any(parameter.requires_grad for parameter in self.loss.parameters()):
            raise ValueError(
                f'loss must have no parameters to train, got {type(self.loss).__name__} with some: '
                'no optimiser and no checkpoint would know them; put them into the model'
            )
        self.ground_truth_weight = ground_truth_weight
        self.logits_from = logits_from

    def teacher(self, model: BaseModel) -> nn.Module:
        """Returns the module whose output in the main network the teacher's logits are.

        Raises:
            ValueError: The model has no such module.
        """
        try:
            return model.get_submodule(self.logits_from)
        except AttributeError:
            children = ', '.join(name for name, _ in model.named_children())
            raise ValueError(
                f'logits_from must name a module of {type(model).__name__}, got '
                f'{self.logits_from!r}; its own are {children}. Detectors, segmenters and pose '
                "estimators learn from dict(type='mmst.GroundTruthSupervision')"
            ) from None

    def losses(
        self,
        model: BaseModel,
        inputs: Tensor,
        data_samples: Sequence[BaseDataElement],
        logits: Tensor | None = None,
    ) -> tuple[Tensor, Values]:
        """Computes the loss of the subnet that is active in ``model``.

        Args:
            model: The model whose backbone runs as the subnet.
            inputs: Preprocessed images of shape (B, C, H, W).
            data_samples: B samples with the ground truth at that size.
            logits: The teacher's, of shape (B, number of classes).

        Returns:
            The sum to be minimised, a scalar with graph, and all values to be logged, ``'loss'``
            among them.
        """
        with _recorded(self.teacher(model)) as outputs:
            truth, _ = model.parse_losses(model.forward(inputs, data_samples, mode='loss'))
        student = check_logits(outputs)
        loss = self.loss.to(student.device)(student, logits)
        if self.ground_truth_weight == 0:
            return loss, {'loss': loss}
        total = loss + self.ground_truth_weight * truth
        return total, {'loss': total, 'loss_logits': loss, 'loss_ground_truth': truth}

    def __repr__(self) -> str:
        text = f"the main network's logits, {self.loss}"
        if self.ground_truth_weight:
            text += f', and ground truth, weight {self.ground_truth_weight:g}'
        return text


def check_logits(outputs: Sequence[Any]) -> Tensor:
    """Returns the only output of a teacher's module in one forward.

    Raises:
        ValueError: The module did not run exactly once.
        TypeError: The output is no tensor of shape (N, number of classes).
    """
    if len(outputs) != 1:
        raise ValueError(
            f'logits_from must name a module that runs once in a forward, got one that ran '
            f'{len(outputs)} times'
        )
    logits = outputs[0]
    if not (isinstance(logits, Tensor) and logits.ndim == 2 and logits.is_floating_point()):
        got = f'shape {tuple(logits.shape)}' if isinstance(logits, Tensor) else type(logits)
        raise TypeError(
            'logits_from must name a module whose output are logits of shape (N, number of '
            f'classes), got {got}'
        )
    return logits


@contextmanager
def _recorded(module: nn.Module) -> Iterator[list[Any]]:
    """Collects what a module returns within the context."""
    outputs: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _args, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()
