"""Network loafing: how much worse subnets are inside a network than the whole of it."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmst.subnets.pareto import Candidate, Metric

__all__ = ['Alone', 'Loafing', 'write_csv', 'write_json']


@dataclass(frozen=True)
class Loafing:
    """The subnets of a trained network beside the whole of it (ST++ Fig. 1).

    Args:
        label: Name of the network.
        metric: What is compared.
        whole: The whole network.
        subnets: Subnets of it that were evaluated, at least one.

    Raises:
        ValueError: There is no subnet, or the whole network has no such metric.
    """

    label: str
    metric: Metric
    whole: Candidate
    subnets: Sequence[Candidate]

    def __post_init__(self) -> None:
        if not self.subnets:
            raise ValueError(
                f'{self.label} must have subnets beside the whole network {self.whole.depths} to '
                'tell its loafing, got none: enlarge choices of the backbone'
            )
        if self.metric.name not in self.whole.metrics:
            raise ValueError(
                f'the whole network {self.label} must have the metric {self.metric.name}, got '
                f'{sorted(self.whole.metrics)}: it detects nothing. Give the checkpoint of a '
                'longer training'
            )

    def value(self, candidate: Candidate) -> float:
        """Returns the metric of the network or of a subnet.

        mmdet gives no metric to a detector that detects nothing: that is 0.
        """
        return candidate.metrics.get(self.metric.name, 0.0 if self.metric.greater else math.nan)

    def gap(self, candidate: Candidate) -> float:
        """Returns how much worse a subnet is than the whole network, in units of the metric."""
        return self.metric.gap(self.value(self.whole), self.value(candidate))

    @property
    def loafing(self) -> float:
        r"""The mean gap over the subnets.

        .. math:: \frac{1}{|S|} \sum_{s \in S} (m(f) - m(s))

        with m the metric (the signs turned if lower is better), f the whole network and S all
        subnets of the space but f itself: what a subnet drawn from them is expected to lack. If not
        all were evaluated, S are those that were, and values compare only between networks of which
        the same were.
        """
        return sum(map(self.gap, self.subnets)) / len(self.subnets)

    def by_blocks(self) -> dict[int, float]:
        """Returns the mean metric of the subnets, and of the whole network, by number of blocks."""
        values: dict[int, list[float]] = {}
        for one in (*self.subnets, self.whole):
            values.setdefault(sum(one.depths), []).append(self.value(one))
        return {blocks: sum(found) / len(found) for blocks, found in sorted(values.items())}


@dataclass(frozen=True)
class Alone:
    """A smaller network that was trained alone.

    Args:
        label: Its name.
        network: Its costs and metrics.
    """

    label: str
    network: Candidate


HEADER = ('network', 'kind', 'depths', 'blocks', 'parameters', 'flops')
GAPS = ('gap', 'gap_to_alone')


def _rows(networks: Sequence[Loafing], alone: Sequence[Alone]) -> list[list[object]]:
    """Label, kind, costs, metric, gap to the whole network and to the same one trained alone."""
    metric = networks[0].metric
    trained = {one.network.depths: one.network.metrics.get(metric.name) for one in alone}
    rows: list[list[object]] = []
    for network in networks:
        for one in (*sorted(network.subnets, key=lambda one: one.flops), network.whole):
            kind = 'whole' if one is network.whole else 'subnet'
            value, other = network.value(one), trained.get(one.depths)
            to_alone = None if other is None else metric.gap(other, value)
            rows.append([*_start(network.label, kind, one), value, network.gap(one), to_alone])
    for single in alone:
        found = single.network.metrics.get(metric.name)
        rows.append([*_start(single.label, 'alone', single.network), found, None, None])
    return rows


def _start(label: str, kind: str, one: Candidate) -> list[object]:
    depths = ','.join(map(str, one.depths))
    return [label, kind, depths, sum(one.depths), one.parameters, one.flops]


def write_csv(networks: Sequence[Loafing], alone: Sequence[Alone], file: str | Path) -> None:
    """Writes a line for each network and subnet.

    Args:
        networks: At least one, all by the same metric.
        alone: Networks that were trained alone. The gap to one of the same depths is a column.
        file: File to write.
    """
    with open(file, 'w', newline='') as stream:
        writer = csv.writer(stream)
        writer.writerow([*HEADER, networks[0].metric.name, *GAPS])
        writer.writerows(_rows(networks, alone))


def write_json(networks: Sequence[Loafing], alone: Sequence[Alone], file: str | Path) -> None:
    """Writes the loafing of each network, and all that :func:`write_csv` writes."""
    names = (*HEADER, 'value', *GAPS)
    content = {
        'metric': networks[0].metric.name,
        'greater_is_better': networks[0].metric.greater,
        'loafing': {network.label: network.loafing for network in networks},
        'subnets': {network.label: len(network.subnets) for network in networks},
        'rows': [dict(zip(names, row, strict=True)) for row in _rows(networks, alone)],
    }
    Path(file).write_text(json.dumps(content, indent=1) + '\n')
