"""Magnitude and scale of logits over a data set (ST++ Fig. 4)."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

__all__ = ['LogitStatistics', 'matching_amplitude', 'write_csv', 'write_json']

QUANTILES = (0.05, 0.5, 0.95)

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class LogitStatistics:
    """Logits of one network, or subnet, over the images of a data set.

    Args:
        label: Name of the network.
        depths: Those of the subnet, None for the whole network.
        logits: Of shape (N, C).
    """

    label: str
    depths: tuple[int, ...] | None
    logits: Tensor

    @property
    def depths_text(self) -> str:
        """Depths with commas, or ``'whole'``."""
        return 'whole' if self.depths is None else ','.join(map(str, self.depths))

    @property
    def magnitudes(self) -> Tensor:
        """Euclidean norm of the logits of each image, of shape (N,)."""
        return self.logits.norm(dim=1)

    @property
    def scales(self) -> Tensor:
        """Standard deviation over the classes for each image, of shape (N,).

        It is what layer normalisation divides by (:func:`mmst.core.normalize_logits`).
        """
        return self.logits.std(dim=1, unbiased=False)


def matching_amplitude(num_classes: int) -> float:
    r"""Amplitude of KL- with which logits of C classes can reach as far as those of ImageNet.

    A vector of C numbers with mean 0 and standard deviation 1 has at most :math:`\sqrt{C - 1}` as
    its largest one (one class against all others). So the amplitude 1 of 1000 classes corresponds
    to :math:`\sqrt{999 / (C - 1)}`. Whether it trains well is another question.

    Raises:
        ValueError: There are fewer than two classes.
    """
    if num_classes < 2:
        raise ValueError(f'num_classes must be at least 2, got {num_classes}')
    return math.sqrt((IMAGENET_CLASSES - 1) / (num_classes - 1))


def write_csv(statistics: Sequence[LogitStatistics], file: str | Path) -> None:
    """Writes a line for each network: means, standard deviations and quantiles."""
    rows = _rows(statistics)
    with open(file, 'w', newline='') as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_json(statistics: Sequence[LogitStatistics], file: str | Path) -> None:
    """Writes what :func:`write_csv` writes, and the values of each image."""
    rows = [
        {**row, 'magnitudes': one.magnitudes.tolist(), 'scales': one.scales.tolist()}
        for row, one in zip(_rows(statistics), statistics, strict=True)
    ]
    Path(file).write_text(json.dumps(rows, indent=1) + '\n')


def _rows(statistics: Sequence[LogitStatistics]) -> list[dict[str, Any]]:
    return [
        {
            'network': one.label,
            'depths': one.depths_text,
            'images': one.logits.shape[0],
            'classes': one.logits.shape[1],
            **_summary('magnitude', one.magnitudes),
            **_summary('scale', one.scales),
        }
        for one in statistics
    ]


def _summary(name: str, values: Tensor) -> dict[str, float]:
    quantiles = {f'{name}_{q:.0%}': values.quantile(q).item() for q in QUANTILES}
    deviation = values.std(unbiased=False).item()
    return {f'{name}_mean': values.mean().item(), f'{name}_std': deviation, **quantiles}
