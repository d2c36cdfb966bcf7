"""Checkpoints of one network that a command compares, and subnets of them."""

from __future__ import annotations

import argparse
import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from torch import nn

from mmst.config.checkpoint import set_local_checkpoint
from mmst.engine.model_parts import unwrapped
from mmst.subnets.evaluation import prepare_subnet_test, recalibrated_subnet
from mmst.subnets.loaders import TrainingBatches

from .data_files import check_data_files
from .key_values import split_label
from .launch import build_runner, set_launcher
from .load import read, set_defaults

__all__ = [
    'Networks',
    'Source',
    'add_checkpoints',
    'check_different',
    'read_source',
    'set_out_dir',
]

Depths = tuple[int, ...]


def add_checkpoints(parser: argparse.ArgumentParser, command: str) -> None:
    """Adds the checkpoints and ``--out-dir``."""
    parser.add_argument(
        'checkpoints',
        nargs='+',
        metavar='[NAME=]CHECKPOINT',
        help='checkpoint files of the whole network, each with a name for the figure',
    )
    parser.add_argument(
        '--out-dir', help=f'folder of results; default: work_dirs/{command}/<config name>'
    )


def set_out_dir(args: argparse.Namespace, command: str) -> None:
    """Sets the default of ``--out-dir``.

    Raises:
        ValueError: It is a file.
    """
    if args.out_dir is None:
        args.out_dir = str(Path('work_dirs') / command / Path(args.config).stem)
    if Path(args.out_dir).exists() and not Path(args.out_dir).is_dir():
        raise ValueError(f'--out-dir must be a folder, got the file {args.out_dir!r}')


@dataclass(frozen=True)
class Source:
    """A trained network.

    Args:
        label: Name in the figure.
        file: Its checkpoint.
        cfg: Config to run; ``load_from`` is the checkpoint.
        text: Text of the config as the user gave it.
    """

    label: str
    file: str
    cfg: Config
    text: str


def read_source(
    args: argparse.Namespace, checkpoint: str, edit: Callable[[Config], Config] = lambda cfg: cfg
) -> Source:
    """Reads the config of a checkpoint and checks that both, and the test data, are there.

    Args:
        args: Options of the command.
        checkpoint: The file, with or without a name.
        edit: Further changes of the config, in place.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The checkpoint does not fit the config.
    """
    label, file = split_label(checkpoint)
    cfg = read(args)
    text = cfg.pretty_text
    prepare_subnet_test(edit(cfg))
    set_defaults(cfg, args, str(Path(args.out_dir) / 'log'))
    has_test = cfg.get('test_dataloader') is not None
    check_data_files(cfg, ('test_dataloader' if has_test else 'train_dataloader',))
    cfg.log_level = 'WARNING'  # the progress bar is what is looked at
    located = set_local_checkpoint(cfg, file)
    name = label or f'{Path(located).parent.name}/{Path(located).stem}'
    return Source(name, located, set_launcher(cfg, 'none'), text)


def check_different(sources: Sequence[Source]) -> None:
    """Raises ValueError if two checkpoints have the same name."""
    labels = [source.label for source in sources]
    if len(set(labels)) < len(labels):
        raise ValueError(f'checkpoints must have different names, got {labels}; give NAME=FILE')


class Networks:
    """One model that holds the weights of one checkpoint after another.

    Args:
        sources: The checkpoints, all of the same config.
        recalibrate: As in :func:`mmst.subnets.evaluation.run_subnet_test`.

    Attributes:
        runner: The runner of the config.
        model: Its model, in evaluation mode.
    """

    def __init__(self, sources: Sequence[Source], recalibrate: int | None = None) -> None:
        cfg = copy.deepcopy(sources[0].cfg)
        cfg.load_from = None  # one runner, and its data sets, are for all checkpoints
        self.runner = build_runner(cfg)
        self.model = unwrapped(self.runner.model).eval()
        self._recalibrate = recalibrate
        self._batches = TrainingBatches(self.runner)

    def load(self, source: Source) -> None:
        """Loads a checkpoint into the model."""
        self.runner.load_checkpoint(source.cfg.load_from)

    @contextlib.contextmanager
    def subnet(self, depths: Depths | None) -> Iterator[nn.Module]:
        """Makes the model a subnet with norm statistics of its own; None leaves it whole."""
        if depths is None:
            yield self.model
            return
        with recalibrated_subnet(self.runner, depths, self._recalibrate, self._batches) as model:
            yield model.eval()
