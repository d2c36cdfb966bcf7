"""Draws the effective receptive fields of trained backbones and of subnets of them."""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.utils import ProgressBar
from torch import Tensor

from mmst.analysis.receptive_field import (
    THRESHOLDS,
    ReceptiveField,
    area_ratio,
    contribution_scores,
    write_csv,
    write_json,
)
from mmst.analysis.receptive_field_plot import plot_receptive_fields
from mmst.checkpoints.write import write_whole
from mmst.core import resize_batch
from mmst.engine.model_parts import find_backbone
from mmst.pyplot import import_pyplot
from mmst.subnets.evaluation import check_recalibrate, parse_depths
from mmst.subnets.loaders import evaluation_batches

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

Size = tuple[int, int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser, 'config file of the networks')
    add_checkpoints(parser, 'analyze_erf')
    what = parser.add_argument_group('what is looked at')
    what.add_argument(
        '--depths',
        nargs='+',
        default=[],
        metavar='D1,D2,…',
        help='subnets to draw beside the whole network, e.g. 2,3,4,2 1,1,1,1',
    )
    options.add_recalibrate(what)
    what.add_argument(
        '--sizes',
        nargs='+',
        metavar='HxW',
        help='sizes that inputs are resized to, e.g. 256 or 320x480; default: that of the first '
        'test image',
    )
    what.add_argument(
        '--num-images',
        type=int,
        default=50,
        metavar='N',
        help='the first N test images, all if there are fewer (default: %(default)s)',
    )
    data = parser.add_argument_group('data')
    options.add_data(data)
    options.add_cfg_options(data)


def parse_size(text: str) -> Size:
    """Reads ``'320x480'``, height and width in pixels, or ``'256'`` for a square.

    Raises:
        ValueError: It is neither.
    """
    match = re.fullmatch(r'([1-9]\d*)(?:x([1-9]\d*))?', text)
    if match is None:
        raise ValueError(f'--sizes must be HEIGHTxWIDTH or SIDE in pixels, got {text!r}')
    return int(match[1]), int(match[2] or match[1])


@preparation()
def prepare(args: argparse.Namespace) -> list[Source]:
    """Checks the options and returns the networks."""
    check_recalibrate(args.recalibrate)
    import_pyplot('receptive fields are')
    if args.num_images < 1:
        raise ValueError(f'--num-images must be at least 1, got {args.num_images}')
    args.depths = [parse_depths(text) for text in args.depths]
    args.sizes = [parse_size(text) for text in args.sizes or ()]
    set_out_dir(args, 'analyze_erf')
    sources = [read_source(args, text) for text in args.checkpoints]
    check_different(sources)
    return sources


def first_images(networks: Networks, count: int) -> Iterator[Tensor]:
    """Yields preprocessed test images of shape (1, C, H, W), on the CPU."""
    batches = evaluation_batches(networks.runner, count)
    images = (image.cpu() for data in batches for image in data['inputs'].split(1))
    return itertools.islice(images, count)


def receptive_fields(args: argparse.Namespace, sources: Sequence[Source]) -> list[ReceptiveField]:
    """Computes the field of each network and subnet at each size."""
    networks = Networks(sources, args.recalibrate)
    device = next(networks.model.parameters()).device
    # One by one: those of detection differ in size.
    images = list(first_images(networks, args.num_images))
    sizes: list[Size] = args.sizes or [(images[0].shape[-2], images[0].shape[-1])]
    subnets: list[tuple[int, ...] | None] = [None, *args.depths]
    bar = ProgressBar(len(sources) * len(subnets) * len(sizes), file=sys.stdout)

    def resized(size: Size) -> Iterator[Tensor]:
        return (resize_batch(image.to(device), size) for image in images)

    found = []
    for source in sources:
        networks.load(source)
        for depths in subnets:
            with networks.subnet(depths) as model:
                for size in sizes:
                    backbone = find_backbone(model)
                    scores, number, map_hw = contribution_scores(backbone, resized(size))
                    found.append(ReceptiveField(source.label, depths, number, map_hw, scores))
                    bar.update()
    return found


def report(fields: Sequence[ReceptiveField], files: Sequence[Path]) -> None:
    """Prints a line for each network, subnet and size."""
    width = max(16, *(len(field.label) + 2 for field in fields))
    parts = ''.join(f'{f"r {part:.0%}":>9}' for part in THRESHOLDS)
    print(f'\n{"":<{width}}{"depths":<16}{"input":>11}{"map":>8}{parts}')
    for field in fields:
        size, map_size = ('x'.join(map(str, hw)) for hw in (field.input_hw, field.map_hw))
        ratios = ''.join(f'{area_ratio(field.scores, part):>9.2%}' for part in THRESHOLDS)
        print(f'{field.label:<{width}}{field.depths_text:<16}{size:>11}{map_size:>8}{ratios}')
    print(
        'r: area of the smallest square around the centre with that part of the contributions, '
        f'over the area of the input; {fields[0].images} images'
    )
    print('files           ' + ', '.join(map(str, files)))


def run(args: argparse.Namespace) -> None:
    """Computes, draws and reports."""
    fields = receptive_fields(args, prepare(args))
    files = [Path(args.out_dir) / f'erf.{suffix}' for suffix in ('png', 'svg', 'csv', 'json')]
    picture, _, table, record = files
    title = Path(args.config).stem
    plot_receptive_fields(fields, picture, title)
    write_whole(table, lambda file: write_csv(fields, file))
    write_whole(record, lambda file: write_json(fields, file))
    report(fields, files)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
