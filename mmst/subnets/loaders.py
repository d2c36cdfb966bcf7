"""Loaders beside a run: they read its data, and the run does not notice."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

from mmst.engine.model_parts import unwrapped

__all__ = ['TrainingBatches', 'build_loader', 'evaluation_batches', 'loss_forward']


def build_loader(runner: Runner, settings: Mapping[str, Any], dataset: Any = None) -> Any:
    """Builds a data loader as the loops of a runner do, with a sampler and workers of its own.

    Args:
        runner: The runner.
        settings: A data loader of its config.
        dataset: Data set that is built already; the loader gets a copy of it.
    """
    own = {**settings, 'persistent_workers': False}
    if dataset is not None:
        own['dataset'] = dataset
        own.pop('num_batch_per_epoch', None)  # has been applied to it
    diff_rank_seed = (runner.cfg.get('randomness') or {}).get('diff_rank_seed', False)
    return runner.build_dataloader(own, seed=runner.seed, diff_rank_seed=diff_rank_seed)


def evaluation_batches(runner: Runner, count: int | None = None) -> Iterator[dict[str, Any]]:
    """Yields the first test images, as the ``forward`` of the model takes them.

    Where a config has no test, as of pre-training without labels, they are training images.

    Args:
        runner: The runner.
        count: How many images; the last batch may hold more. Defaults to all.

    Raises:
        ValueError: The data preprocessor returns no batch of images of shape (N, C, H, W).
    """
    settings = runner.cfg.get('test_dataloader') or runner.cfg.train_dataloader
    model: Any = unwrapped(runner.model)
    found = 0
    for batch in build_loader(runner, settings):
        data = model.data_preprocessor(batch, training=False)
        inputs = data.get('inputs') if isinstance(data, Mapping) else None
        if not (isinstance(inputs, Tensor) and inputs.ndim == 4):
            raise ValueError(
                'data_preprocessor must return inputs of shape (N, C, H, W), got '
                f'{type(inputs).__name__} in {type(data).__name__}; give a config whose network '
                'takes batches of images'
            )
        yield dict(data)
        found += len(inputs)
        if count is not None and found >= count:
            return


class TrainingBatches:
    """The first training batches of a runner, the same ones each time.

    Args:
        runner: A runner whose config has a ``train_dataloader``.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._dataset: Any = None

    def take(self, count: int) -> Iterator[Any]:
        """Yields the first batches, at most an epoch, then logs their number.

        Args:
            count: How many.
        """
        settings = self._runner.cfg.train_dataloader
        if self._dataset is None:
            # Only copies of it are read: what a cache of theirs finds is the same each time.
            self._dataset = build_loader(self._runner, settings).dataset
        loader, found = build_loader(self._runner, settings, self._dataset), 0
        for batch in itertools.islice(loader, count):
            yield batch
            found += 1
        # The length of an infinite loader is not it.
        self._runner.logger.info(f'Norm statistics from {found} training batches.')


def loss_forward(model: BaseModel) -> Callable[[Any], None]:
    """Returns a function that runs a model on a training batch up to its losses.

    It uses a copy of the preprocessor, because some keep a state: ``BatchSyncRandomResize`` of
    mmdet and mmpose keeps the size of the next batches. This one also reads the iteration from the
    message hub, which has none outside of a training. It is set to 0 there.
    """
    preprocess = copy.deepcopy(model.data_preprocessor)
    hub = MessageHub.get_current_instance()
    if hub.get_info('iter') is None:
        hub.update_info('iter', 0)

    def forward(batch: Any) -> None:
        data = preprocess(batch, training=True)
        if isinstance(data, Mapping):
            model(**data, mode='loss')
        else:
            model(*data, mode='loss')

    return forward
