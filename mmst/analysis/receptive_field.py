"""Effective receptive field: which pixels the centre of the last feature map depends on."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = [
    'THRESHOLDS',
    'ReceptiveField',
    'area_ratio',
    'contribution_scores',
    'last_feature_map',
    'square_side',
    'write_csv',
    'write_json',
]

THRESHOLDS = (0.2, 0.3, 0.5, 0.99)
"""Parts of the total contribution that area ratios are told for, those of RepLKNet."""


@dataclass(frozen=True)
class ReceptiveField:
    """Effective receptive field of a network.

    Args:
        label: Name of the network.
        depths: Blocks of each stage of a subnet, None for the whole network.
        images: Number of images.
        map_hw: Size of the last feature map.
        scores: Contribution of each pixel, of shape (H, W), not negative, not all 0.
    """

    label: str
    depths: tuple[int, ...] | None
    images: int
    map_hw: tuple[int, int]
    scores: Tensor

    @property
    def input_hw(self) -> tuple[int, int]:
        """Size of the input in pixels."""
        height, width = self.scores.shape
        return height, width

    @property
    def depths_text(self) -> str:
        """``'whole'``, or the depths of the subnet."""
        return 'whole' if self.depths is None else ','.join(map(str, self.depths))


def contribution_scores(
    backbone: Callable[[Tensor], Any], batches: Iterable[Tensor]
) -> tuple[Tensor, int, tuple[int, int]]:
    r"""Sums up how much each pixel contributes to the centre of the last feature map.

    .. math:: P_{hw} = \sum_{n, c} \max(0, \partial \sum_k F_{n k i j} / \partial x_{n c h w})

    with x the input and F the last feature map, of H' x W' positions, at i = H' // 2, j = W' // 2:
    where a side is even, the position behind the middle (RepLKNet, arXiv 2203.06717; after
    Luo et al., NeurIPS 2016).

    Args:
        backbone: Returns feature maps, see :func:`last_feature_map`. It is in evaluation mode: an
            image must not depend on the others of its batch.
        batches: Images of shape (N, C, H, W), all of the same H and W.

    Returns:
        The scores, of shape (H, W), in double precision on the CPU; the number of images; and the
        size of the feature map.

    Raises:
        TypeError: The backbone gives no feature map.
        ValueError: There is no image, sizes differ, or no pixel contributes.
    """
    total: Tensor | None = None
    images, map_hw = 0, (0, 0)
    for batch in batches:
        inputs = batch.detach().requires_grad_()
        with torch.enable_grad():
            features = last_feature_map(backbone(inputs))
            map_hw = features.shape[-2], features.shape[-1]
            centre = features[:, :, map_hw[0] // 2, map_hw[1] // 2].sum()
        if not centre.requires_grad:
            raise ValueError(
                'the last feature map must depend on the input by gradients, got one without '
                'graph: the backbone runs under no_grad'
            )
        (gradient,) = torch.autograd.grad(centre, inputs)
        scores = gradient.clamp(min=0).double().sum((0, 1)).cpu()
        if total is not None and total.shape != scores.shape:
            raise ValueError(
                f'images must have one size, got {tuple(total.shape)} and {tuple(scores.shape)}'
            )
        total = scores if total is None else total + scores
        images += len(batch)
    if total is None:
        raise ValueError('a receptive field needs at least one image, got none')
    if not (total.isfinite().all() and total.sum() > 0):
        raise ValueError(
            'contributions must be finite and not all 0, got a sum of '
            f'{total.sum().item()}: the weights are degenerate'
        )
    return total, images, map_hw


def last_feature_map(outputs: Any) -> Tensor:
    """Returns the last tensor of shape (N, C, H, W) among the outputs of a backbone.

    Tokens beside a map, as mmseg's transformers return them on request, are left out.

    Raises:
        TypeError: There is none.
    """
    found = list(_tensors(outputs))
    maps = [tensor for tensor in found if tensor.ndim == 4]
    if not maps:
        raise TypeError(
            'the backbone must return a feature map of shape (N, C, H, W), got '
            f'{[tuple(tensor.shape) for tensor in found] or type(outputs).__name__}. Transformers '
            'and ConvNeXt of mmpretrain return one with --cfg-options '
            'model.backbone.out_type=featmap or model.backbone.gap_before_final_norm=False'
        )
    return maps[-1]


def _tensors(outputs: Any) -> Iterable[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, (list, tuple)):
        for output in outputs:
            yield from _tensors(output)


def square_side(scores: Tensor, threshold: float) -> int:
    """Returns the side of the smallest square around the centre that holds part of the total.

    Args:
        scores: Contributions of shape (H, W).
        threshold: The part, in (0, 1].

    Returns:
        An odd number of pixels. The centre is the pixel (H // 2, W // 2). Of a square that reaches
        over the edge of the image, what is within it counts.

    Raises:
        ValueError: The threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f'threshold must lie in (0, 1], got {threshold!r}')
    height, width = scores.shape
    rows = (torch.arange(height) - height // 2).abs()
    columns = (torch.arange(width) - width // 2).abs()
    distance = torch.maximum(rows[:, None], columns[None, :])
    rings = torch.bincount(distance.flatten(), weights=scores.double().flatten())
    held = rings.cumsum(0)
    # The last one holds all, whatever rounding says.
    radius = int((held < threshold * held[-1]).sum())
    return 2 * radius + 1


def area_ratio(scores: Tensor, threshold: float) -> float:
    """Returns the area of :func:`square_side` over that of the image: RepLKNet's r.

    Of a square that reaches over the edge of the image, the part within it counts.
    """
    side = square_side(scores, threshold)
    height, width = scores.shape
    return min(side, height) * min(side, width) / (height * width)


def _rows(fields: Sequence[ReceptiveField]) -> list[dict[str, Any]]:
    rows = []
    for one in fields:
        row: dict[str, Any] = {
            'network': one.label,
            'depths': one.depths_text,
            'height': one.input_hw[0],
            'width': one.input_hw[1],
            'map_height': one.map_hw[0],
            'map_width': one.map_hw[1],
            'images': one.images,
        }
        for threshold in THRESHOLDS:
            row[f'side_{threshold:.0%}'] = square_side(one.scores, threshold)
            row[f'r_{threshold:.0%}'] = area_ratio(one.scores, threshold)
        rows.append(row)
    return rows


def write_csv(fields: Sequence[ReceptiveField], file: str | Path) -> None:
    """Writes a line for each network and input size: sides in pixels and area ratios."""
    rows = _rows(fields)
    with open(file, 'w', newline='') as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_json(fields: Sequence[ReceptiveField], file: str | Path) -> None:
    """Writes what :func:`write_csv` writes."""
    Path(file).write_text(json.dumps(_rows(fields), indent=1) + '\n')
