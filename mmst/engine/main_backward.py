"""The main network's backward inside its forward, so that its graph is free before subnets run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

__all__ = ['MainBackward', 'default_order', 'scaled']


class MainBackward:
    """Runs the backward of a model's losses at once, and hands back losses that stand for it.

    Those have the same values. Their backward, which the training step runs, adds nothing to the
    gradients that main network and subnets have left by then. But it reaches every parameter that
    has one, so that ``DistributedDataParallel`` averages the sum.

    Args:
        model: The model, without distributed wrapper.
        optim_wrapper: Scales its loss.
    """

    def __init__(self, model: BaseModel, optim_wrapper: OptimWrapper) -> None:
        self._model = model
        self._optim_wrapper = optim_wrapper
        self._expected: Sequence[Tensor] | None = None

    def run(self, losses: Any) -> Any:
        """Runs the backward, which frees the graph, and returns the losses that stand for it.

        Args:
            losses: What the model's forward returned: tensors and lists of tensors, by name.
        """
        graphs: list[Tensor] = []
        leaves: list[Tensor] = []

        def cut(loss: Tensor) -> Tensor:
            graphs.append(loss)
            leaves.append(loss.detach().requires_grad_())
            return leaves[-1]

        # Parameters of parse_losses itself get their gradients when the training step calls it.
        leaf_losses = _with_graphs_replaced(losses, cut)
        if not leaves:
            return losses  # the training step fails as it would alone
        with torch.autocast(leaves[0].device.type, enabled=False):
            total, _ = self._model.parse_losses(leaf_losses)
            scaled(total, self._optim_wrapper).backward(inputs=leaves)
            summed = [
                (loss, leaf.grad)
                for loss, leaf in zip(graphs, leaves, strict=True)
                if leaf.grad is not None
            ]
            torch.autograd.backward([loss for loss, _ in summed], [grad for _, grad in summed])
        self._expected = [
            torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves
        ]
        trained = filter(_has_grad, self._model.parameters())
        values = (leaf.detach() for leaf in leaves)
        standing = iter(_Done.apply(self._receive, len(leaves), *values, *trained))
        return _with_graphs_replaced(losses, lambda loss: next(standing))

    def check_received(self, step: int) -> None:
        """Raises if the training step has not run the backward of the losses that stand for it.

        Args:
            step: Training iteration, for the message.

        Raises:
            RuntimeError: It has not, so that gradients are left that it does not know of.
        """
        if self._expected is not None:
            raise self._refusal(f'none in iteration {step}')

    def forget(self) -> None:
        """Drops what an interrupted iteration may have left."""
        self._expected = None

    def _receive(self, gradients: Sequence[Tensor]) -> None:
        expected, self._expected = self._expected, None
        if expected is None:
            raise self._refusal('a second one')
        if torch.is_grad_enabled():
            raise self._refusal('one with create_graph=True')
        # The host waits for the device, which has all work but averaging in its queue.
        if not torch.allclose(_flat(gradients), _flat(expected), equal_nan=True):
            raise self._refusal('one of another sum of the losses, or with another scale')

    def _refusal(self, got: str) -> RuntimeError:
        return RuntimeError(
            f"train_step of {type(self._model).__name__} must run one backward of the model's "
            'losses, summed by its parse_losses and scaled by optim_wrapper, with order='
            f"'main_first', got {got}. Set order='subnets_first' in the StimulativeHook"
        )


class _Done(torch.autograd.Function):
    """Copies losses; their backward reaches parameters, but adds nothing to their gradients."""

    @staticmethod
    def forward(
        ctx: Any, receive: Callable[[Sequence[Tensor]], None], count: int, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.receive, ctx.count, ctx.parameters = receive, count, tensors[count:]
        return tuple(loss.clone() for loss in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        ctx.receive(gradients)
        # None adds nothing and takes no time, but a parameter's own hooks want a tensor.
        nothing = (torch.zeros_like(p) if p._backward_hooks else None for p in ctx.parameters)
        return None, None, *[None] * ctx.count, *nothing


def default_order(model: nn.Module, has_teacher: bool) -> str:
    """Returns which backward comes first if nothing else is asked for.

    Args:
        model: The model that the loop trains, perhaps in a distributed wrapper.
        has_teacher: Whether subnets run after the main network's forward, so that its graph would
            wait for them.
    """
    ordinary = (BaseModel.train_step, MMDistributedDataParallel.train_step)
    is_ordinary = getattr(type(model), 'train_step', None) in ordinary
    return 'main_first' if has_teacher and is_ordinary else 'subnets_first'


def scaled(loss: Tensor, optim_wrapper: OptimWrapper) -> Tensor:
    """Scales a loss as ``optim_wrapper.update_params`` scales the main loss, counting nothing."""
    loss = optim_wrapper.scale_loss(loss)
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    return loss if scaler is None else scaler.scale(loss)


def _with_graphs_replaced(losses: Any, replace: Callable[[Tensor], Tensor]) -> Any:
    """Replaces the tensors that have a graph in dicts, lists and tuples of them."""
    if isinstance(losses, Tensor):
        return replace(losses) if losses.requires_grad else losses
    if isinstance(losses, Mapping):
        return {name: _with_graphs_replaced(loss, replace) for name, loss in losses.items()}
    if isinstance(losses, (list, tuple)):
        return type(losses)(_with_graphs_replaced(loss, replace) for loss in losses)
    return losses


def _has_grad(leaf: Tensor) -> bool:
    return leaf.requires_grad and leaf.grad is not None


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten().float() for tensor in tensors])
