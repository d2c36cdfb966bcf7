"""A pytest session of an upstream library in which each training forward has a subnet pass.

Started by tools/upstream_tests.py, in a process of its own: for this process it replaces the
``forward`` of upstream's models and backbones, and how upstream's registry builds backbones.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from mmst import RandomSmallerInput
from mmst.core import DepthSpace, Draw, residual_stages
from mmst.core.stages import known_backbones
from mmst.engine.batch import SubnetBatch, draw_subnet_batch
from mmst.engine.failures import LossCheck
from mmst.engine.model_parts import find_stimulated_backbone
from mmst.engine.subnet_pass import SubnetPass, SubnetTrainer
from mmst.engine.supervision import GroundTruthSupervision

Forward = Callable[..., Any]


class OutputSupervision:
    """The sum of all that a backbone returns, for one that is called by itself."""

    def __init__(self, forward: Forward, args: tuple, kwargs: dict[str, Any]) -> None:
        copies = tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), (args, kwargs))
        self._forward, (self._args, self._kwargs) = forward, copies

    def losses(
        self, backbone: nn.Module, inputs: Tensor, data_samples: Sequence[Any], logits: Any = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the sum and the same as the value to be logged."""
        outputs = self._forward(backbone, *self._args, **self._kwargs)
        loss = sum(leaf.sum() for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor))
        return loss, {'loss': loss}


class TrainedOnly(LossCheck):
    """Leaves out the backward where all of a network is frozen."""

    def accept(self, subnet_pass: object, loss: Tensor, values: Mapping[str, Tensor]) -> bool:
        """Tells whether the loss has a graph."""
        return loss.requires_grad


class SubnetPasses:
    """Plugin of pytest: a subnet pass before each training forward of the library's networks.

    Args:
        library: Name of the package.
        report: Where the counts of passes are written.
        min_ratio: Smallest ratio of the input sizes of subnets of whole models.
    """

    def __init__(self, library: str, report: Path, min_ratio: float) -> None:
        self._library = library
        self._report = report
        self._rule = RandomSmallerInput(min_ratio)
        self._passes: Counter[str] = Counter()
        self._without: Counter[str] = Counter()
        self._tests: set[str] = set()
        self._test = ''
        self._is_inside = False
        self._undo = pytest.MonkeyPatch()

    def pytest_sessionstart(self) -> None:
        """Puts passes into the library."""
        importlib.import_module(f'{self._library}.models')
        registry = importlib.import_module(f'{self._library}.registry').MODELS
        build = functools.partial(_build, registry.build_func)
        self._undo.setattr(registry, 'build_func', build)
        for cls in list(_subclasses(nn.Module)):
            if 'forward' not in vars(cls):
                continue
            if issubclass(cls, BaseModel):
                self._replace(cls, self._train_model)
            elif _is_known(cls):
                self._replace(cls, self._train_backbone)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Remembers which test runs."""
        self._test = item.nodeid

    def pytest_sessionfinish(self) -> None:
        """Takes the passes out and reports them."""
        self._undo.undo()
        counts = {
            'passes': self._passes,
            'tests': len(self._tests),
            'without': self._without,
        }
        self._report.write_text(json.dumps(counts))

    def _replace(self, cls: type, train: Callable[..., bool]) -> None:
        forward = cls.forward

        @functools.wraps(forward)
        def with_subnet(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            is_training = module.training and torch.is_grad_enabled() and not self._is_inside
            if not is_training or not train(module, forward, args, kwargs):
                return forward(module, *args, **kwargs)
            with self._inside():
                return forward(module, *args, **kwargs)

        self._undo.setattr(cls, 'forward', with_subnet)

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Within a forward that has its pass, its parts have none of their own."""
        self._is_inside = True
        try:
            yield
        finally:
            self._is_inside = False

    def _train_model(
        self, model: BaseModel, forward: Forward, args: tuple, kwargs: dict[str, Any]
    ) -> bool:
        """Trains a subnet of a whole model, if that is what its forward does."""
        call = inspect.signature(forward).bind(model, *args, **kwargs).arguments
        if call.get('mode') != 'loss':
            return False
        try:
            backbone = find_stimulated_backbone(model)
            batch = draw_subnet_batch(
                model,
                call['inputs'],
                call['data_samples'],
                self._draw(),
                rule=self._rule if self._rule.changes_size else None,
                batch_fraction=1.0,
            )
        except (TypeError, ValueError) as error:
            network = type(getattr(model, 'backbone', None)).__name__
            self._without[f'{type(model).__name__} of {network}: {_reason(error)}'] += 1
            return False
        self._train(model, backbone, batch, GroundTruthSupervision())
        return True

    def _train_backbone(
        self, backbone: nn.Module, forward: Forward, args: tuple, kwargs: dict[str, Any]
    ) -> bool:
        """Trains a subnet of a backbone that is called by itself."""
        try:
            if not hasattr(backbone, 'depth_space'):  # not built by a registry
                stages = residual_stages(backbone)
                backbone.depth_space = DepthSpace([len(stage) for stage in stages])
        except (TypeError, ValueError) as error:
            self._without[f'{type(backbone).__name__}: {_reason(error)}'] += 1
            return False
        inputs = next(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
        batch = SubnetBatch(inputs, (), (inputs.shape[-2], inputs.shape[-1]))
        self._train(backbone, backbone, batch, OutputSupervision(forward, args, kwargs))
        return True

    def _draw(self) -> Draw:
        return Draw(seed=0, step=sum(self._passes.values()))

    def _train(
        self,
        model: nn.Module,
        backbone: nn.Module,
        batch: SubnetBatch,
        supervision: GroundTruthSupervision | OutputSupervision,
    ) -> None:
        """Runs the pass of the training step, and leaves the gradients to the test."""
        gradients = {parameter: parameter.grad for parameter in model.parameters()}
        model.zero_grad(set_to_none=True)  # a pass adds to gradients in place
        optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        trainer = SubnetTrainer(
            model, backbone, supervision, optim_wrapper, check=TrainedOnly(optim_wrapper, skip=True)
        )
        draw = self._draw()
        subnet_pass = SubnetPass(draw, backbone.depth_space.sample(**vars(draw)))
        with self._inside():
            trainer.run(subnet_pass, batch, weight=1.0)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        if subnet_pass.values is None:
            self._without[f'{type(backbone).__name__}: all of it is frozen'] += 1
        else:
            self._passes[type(backbone).__name__] += 1
            self._tests.add(self._test)


def _subclasses(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def _is_known(cls: type) -> bool:
    names = known_backbones()
    return any(f'{parent.__module__}.{parent.__qualname__}' in names for parent in cls.__mro__)


def _build(build: Callable[..., Any], cfg: Any, *args: Any, registry: Any, **kwargs: Any) -> Any:
    """Builds a module by its registry, a known backbone by STBackbone."""
    name = cfg.get('type') if isinstance(cfg, dict) else None
    if isinstance(name, str) and inspect.isclass(cls := registry.get(name)) and _is_known(cls):
        wraps = name if '.' in name else f'{registry.scope}.{name}'
        cfg = {**cfg, 'type': 'mmst.STBackbone', 'wraps': wraps}
    return build(cfg, *args, registry=registry, **kwargs)


def _reason(error: Exception) -> str:
    return str(error).partition(',')[0]


if __name__ == '__main__':
    library, report, min_ratio, *pytest_args = sys.argv[1:]
    sys.path[0] = ''  # as `python -m pytest`: the checkout, not the folder of this file
    sys.exit(pytest.main(pytest_args, [SubnetPasses(library, Path(report), float(min_ratio))]))
