"""Draws how much worse the subnets of trained networks are than the whole of each (loafing)."""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from mmst.analysis.loafing import Alone, Loafing, write_csv, write_json
from mmst.analysis.loafing_plot import check_matplotlib, plot_loafing
from mmst.checkpoints.write import file_sha256, write_whole
from mmst.subnets.config import use_validation_data
from mmst.subnets.cost import CostMeter
from mmst.subnets.evaluation import check_recalibrate
from mmst.subnets.pareto import (
    Candidate,
    Results,
    candidates,
    choose_metric,
    spread_over_flops,
)
from mmst.subnets.search import evaluate_subnets, search_key

from . import options
from .command import run_command
from .errors import preparation
from .key_values import split_label
from .launch import build_runner
from .networks import (
    Networks,
    Source,
    add_checkpoints,
    check_different,
    read_source,
    set_out_dir,
)

Depths = tuple[int, ...]

MOST_SUBNETS = 512
"""More are evaluated only if the user says how many."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    options.add_config(parser, 'config file of the networks; its space has the subnets')
    add_checkpoints(parser, 'analyze_loafing')
    what = parser.add_argument_group('what is evaluated')
    what.add_argument(
        '--alone',
        nargs='+',
        default=[],
        metavar='[NAME=]CONFIG:CHECKPOINT',
        help='smaller networks that were trained alone, as further points',
    )
    what.add_argument(
        '--max-candidates',
        type=int,
        metavar='N',
        help='N subnets spread evenly over FLOPs, the whole network among them; default: all',
    )
    what.add_argument(
        '--metric',
        metavar='NAME',
        help="validation metric; default: the config's save_best, or the usual one of the task",
    )
    options.add_recalibrate(what)
    data = parser.add_argument_group('data')
    options.add_data(data)
    options.add_cfg_options(data)


@preparation()
def prepare(args: argparse.Namespace) -> tuple[list[Source], list[Source]]:
    """Returns the networks whose subnets are evaluated, and those trained alone."""
    check_recalibrate(args.recalibrate)
    check_matplotlib()
    if args.max_candidates is not None and args.max_candidates < 2:
        raise ValueError(f'--max-candidates must be at least 2, got {args.max_candidates}')
    set_out_dir(args, 'analyze_loafing')
    networks = [_source(args, args.config, text) for text in args.checkpoints]
    alone = []
    for text in args.alone:
        label, location = split_label(text)
        config, _, checkpoint = location.rpartition(':')
        if not config:
            raise ValueError(f'--alone must be [NAME=]CONFIG:CHECKPOINT, got {text!r}')
        alone.append(_source(args, config, f'{label}={checkpoint}' if label else checkpoint))
    check_different([*networks, *alone])
    return networks, alone


def _source(args: argparse.Namespace, config: str, checkpoint: str) -> Source:
    stimulate = args.stimulate if config == args.config else None
    own = argparse.Namespace(**{**vars(args), 'config': config, 'stimulate': stimulate})
    return read_source(own, checkpoint, use_validation_data)


class Evaluation:
    """Evaluates networks and subnets, except those finished before.

    Args:
        args: Options of the command.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._file = Path(args.out_dir) / 'candidates.jsonl'
        self._bar = ProgressBar(start=False, file=sys.stdout)

    def networks(self, sources: Sequence[Source], others: int) -> list[Loafing]:
        """Evaluates the networks of one config and their subnets.

        Args:
            sources: The networks.
            others: How many more networks the progress will count.

        Raises:
            ValueError: The space is too large, or a network has no such metric. The error comes
                before its subnets are evaluated.
        """
        loaded = Networks(sources)
        runner = loaded.runner
        meter = CostMeter(runner)
        full, subnets = self._choose(meter)
        self._bar.task_num = (1 + len(subnets)) * len(sources) + others
        self._bar.start()
        found = []
        for source in sources:
            loaded.load(source)
            whole = self._whole(source, runner, meter, full)
            metric = choose_metric(runner.cfg, list(whole.metrics), self._args.metric)
            parts = self._evaluate(source, runner, meter, subnets, self._args.recalibrate)
            found.append(Loafing(source.label, metric, whole, parts))
        return found

    def alone(self, source: Source) -> Alone:
        """Evaluates the whole network of a config of its own."""
        runner = build_runner(source.cfg)
        runner.load_or_resume()
        meter = CostMeter(runner)
        full = candidates(meter.backbone).full
        return Alone(source.label, self._whole(source, runner, meter, full))

    def _choose(self, meter: CostMeter) -> tuple[Depths, list[Depths]]:
        """Depths of the whole network and of the subnets."""
        space = candidates(meter.backbone)
        count = self._args.max_candidates or space.size
        if self._args.max_candidates is None and count > MOST_SUBNETS:
            raise ValueError(
                f'the space has {count} subnets, choices {space.choices}; give --max-candidates N '
                'to evaluate N of them, or a smaller space with --cfg-options '
                'model.backbone.choices=[...]'
            )
        chosen = spread_over_flops(space, meter.flops, count)
        return space.full, [depths for depths in chosen if depths != space.full]

    def _whole(self, source: Source, runner: Runner, meter: CostMeter, full: Depths) -> Candidate:
        """Evaluates a whole network, which has norm statistics of its own."""
        (whole,) = self._evaluate(source, runner, meter, [full], recalibrate=0)
        if not whole.metrics:
            raise ValueError(
                f'the network {source.label} must have validation metrics, got none: it detects '
                'nothing. Give the checkpoint of a longer training'
            )
        return whole

    def _evaluate(
        self,
        source: Source,
        runner: Runner,
        meter: CostMeter,
        wanted: Sequence[Depths],
        recalibrate: int | None,
    ) -> list[Candidate]:
        checksum = file_sha256(source.file)
        settings = hashlib.sha256(source.text.encode()).hexdigest()
        # Latency is not measured: 0 repeats, which no search for the best subnet has.
        key = search_key(meter, checksum, settings, recalibrate, repeats=0)
        found = []
        for candidate, _ in evaluate_subnets(
            runner, wanted, Results(self._file, key), _counted(meter), recalibrate=recalibrate
        ):
            found.append(candidate)
            self._bar.update()
        return found


def _counted(meter: CostMeter) -> Callable[[Depths], Candidate]:
    def count(depths: Depths) -> Candidate:
        parameters, flops = meter.count(depths)
        return Candidate(depths, parameters, flops, flops / meter.flops.total, None, None, {})

    return count


def report(networks: Sequence[Loafing], alone: Sequence[Alone], files: Sequence[Path]) -> None:
    """Prints a line for each network."""
    metric = networks[0].metric
    labels = [network.label for network in networks] + [single.label for single in alone]
    width = max(16, *(len(label) + 2 for label in labels))
    print(f'\n{"":<{width}}{"whole network":>16}{"loafing":>10}{"largest gap":>14}  of')
    for network in networks:
        worst = max(network.subnets, key=network.gap)
        print(
            f'{network.label:<{width}}{network.value(network.whole):>16.4f}'
            f'{network.loafing:>10.4f}{network.gap(worst):>14.4f}  '
            f'{",".join(map(str, worst.depths))}'
        )
    for single in alone:
        value = single.network.metrics.get(metric.name, math.nan)
        print(f'{single.label:<{width}}{value:>16.4f}  trained alone')
    count = len(networks[0].subnets)
    print(f'{metric.name}; loafing is the mean gap of {count} subnets to the whole network')
    print('files           ' + ', '.join(map(str, files)))


def run(args: argparse.Namespace) -> None:
    """Evaluates, draws and reports."""
    sources, others = prepare(args)
    evaluation = Evaluation(args)
    networks = evaluation.networks(sources, others=len(others))
    alone = [evaluation.alone(source) for source in others]
    files = [Path(args.out_dir) / f'loafing.{suffix}' for suffix in ('png', 'csv', 'json')]
    picture, table, record = files
    title = Path(args.config).stem
    plot_loafing(networks, alone, picture, title)
    write_whole(table, lambda file: write_csv(networks, alone, file))
    write_whole(record, lambda file: write_json(networks, alone, file))
    report(networks, alone, files)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command with the given arguments, or those of the process."""
    run_command(__doc__, add_arguments, run, argv)
