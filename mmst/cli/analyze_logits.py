"""Draws the magnitude of the logits of trained classifiers and of subnets of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.utils import ProgressBar
from torch import Tensor, nn

from mmst.analysis.logit_plot import plot_logits
from mmst.analysis.logit_statistics import (
    LogitStatistics,
    matching_amplitude,
    write_csv,
    write_json,
)
from mmst.checkpoints.write import write_whole
from mmst.engine.model_parts import find_backbone
from mmst.pyplot import import_pyplot
from mmst.subnets.evaluation import check_recalibrate, parse_depths
from mmst.subnets.loaders import evaluation_batches
from mmst.subnets.pareto import spread_subnets

from . import options
from .command import run_command
from .errors import preparation
from .networks import (
    Networks,
    Source,
    add_checkpoints,
    check_different,
    read_source,
    set_out_dir,
)

Depths = tuple[int, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser, 'config file of the classifiers')
    add_checkpoints(parser, 'analyze_logits')
    what = parser.add_argument_group('what is looked at')
    what.add_argument(
        '--depths',
        nargs='+',
        default=[],
        metavar='D1,D2,…',
        help='subnets beside the whole network, e.g. 2,3,4,2 1,1,1,1; default: the smallest',
    )
    what.add_argument(
        '--subnets',
        type=int,
        metavar='N',
        help='instead of --depths, the smallest subnet and others, spread evenly by FLOPs',
    )
    options.add_recalibrate(what)
    what.add_argument(
        '--num-images', type=int, metavar='N', help='the first N test images; default: all'
    )
    data = parser.add_argument_group('data')
    options.add_data(data)
    options.add_cfg_options(data)


@preparation()
def prepare(args: argparse.Namespace) -> list[Source]:
    """Checks the options and returns the networks."""
    check_recalibrate(args.recalibrate)
    import_pyplot('logits are')
    for option, value in (('--num-images', args.num_images), ('--subnets', args.subnets)):
        if value is not None and value < 1:
            raise ValueError(f'{option} must be at least 1, got {value}')
    if args.depths and args.subnets:
        raise ValueError('--subnets must be left out where --depths names the subnets')
    args.depths = [parse_depths(text) for text in args.depths]
    set_out_dir(args, 'analyze_logits')
    sources = [read_source(args, text) for text in args.checkpoints]
    check_different(sources)
    return sources


@torch.no_grad()
def logits_of(model: nn.Module, data: dict[str, Any]) -> Tensor:
    """Logits of a preprocessed batch, of shape (N, C), on the CPU.

    Raises:
        ValueError: The model returns something else.
    """
    logits = model(**data, mode='tensor')
    if not (isinstance(logits, Tensor) and logits.ndim == 2 and logits.shape[1] > 1):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            'the model must be a classifier whose output are logits of shape (N, number of '
            f'classes), got {got} from {type(model).__name__}'
        )
    return logits.float().cpu()


def collect(args: argparse.Namespace, sources: Sequence[Source]) -> list[LogitStatistics]:
    """Computes the logits of each network and subnet."""
    networks = Networks(sources, args.recalibrate)
    backbone = find_backbone(networks.model)
    smaller = args.depths or spread_subnets(backbone, args.subnets or 1, networks.runner.logger)
    subnets: list[Depths | None] = [None, *smaller]
    bar = ProgressBar(len(sources) * len(subnets), file=sys.stdout)
    found = []
    for source in sources:
        networks.load(source)
        for depths in subnets:
            with networks.subnet(depths) as model:
                batches = evaluation_batches(networks.runner, args.num_images)
                logits = torch.cat([logits_of(model, data) for data in batches])
            found.append(LogitStatistics(source.label, depths, logits[: args.num_images]))
            bar.update()
    return found


def report(statistics: Sequence[LogitStatistics], files: Sequence[Path]) -> None:
    """Prints a line for each network and subnet, and the amplitude that matches ImageNet's."""
    width = max(16, *(len(one.label) + 2 for one in statistics))
    print(f'\n{"":<{width}}{"depths":<16}{"L2 norm":>18}{"scale":>18}')
    for one in statistics:
        cells = (
            f'{v.mean():.3f} ± {v.std(unbiased=False):.3f}' for v in (one.magnitudes, one.scales)
        )
        print(
            f'{one.label:<{width}}{one.depths_text:<16}' + ''.join(f'{cell:>18}' for cell in cells)
        )
    images, classes = statistics[0].logits.shape
    print(
        f'mean ± standard deviation over {images} images; scale: standard deviation over the '
        f'{classes} classes\n'
        f'amplitude       sqrt(999 / {classes - 1}) = {matching_amplitude(classes):.3g} gives '
        f'{classes} normalised logits the range that amplitude 1 gives 1000'
    )
    print('files           ' + ', '.join(map(str, files)))


def run(args: argparse.Namespace) -> None:
    """Computes, draws and reports."""
    statistics = collect(args, prepare(args))
    files = [Path(args.out_dir) / f'logits.{suffix}' for suffix in ('png', 'svg', 'csv', 'json')]
    picture, _, table, record = files
    plot_logits(statistics, picture, Path(args.config).stem)
    write_whole(table, lambda file: write_csv(statistics, file))
    write_whole(record, lambda file: write_json(statistics, file))
    report(statistics, files)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
