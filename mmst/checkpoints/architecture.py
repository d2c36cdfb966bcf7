"""The ResNet architecture of a state dict, from its keys and shapes alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .tensor_fit import TensorFit, compare_tensors

__all__ = ['ResNetArchitecture', 'check_tensors', 'check_values', 'read_architecture']

# (bottleneck blocks, blocks of each stage) -> depth
_DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
_NORM = ('weight', 'bias', 'running_mean', 'running_var')
# Convolutions and norm layers of the deep stem, in mmpretrain and mmpose, and in mmdet and mmseg.
_DEEP_STEMS = (
    tuple((f'stem.{i}.conv', f'stem.{i}.bn') for i in range(3)),
    tuple((f'stem.{3 * i}', f'stem.{3 * i + 1}') for i in range(3)),
)


@dataclass(frozen=True)
class ResNetArchitecture:
    """A ResNet of OpenMMLab.

    Attributes:
        depth: 18, 34, 50, 101 or 152.
        blocks: Blocks of each stage.
        bottleneck: Whether blocks have three convolutions.
        groups: Of the 3x3 convolutions of bottleneck blocks: 1, or more in a ResNeXt.
        width: Channels of the 3x3 convolutions of the first stage.
        base_channels: Channels that widths derive from, 64.
        stem_channels: Channels that leave the stem, 64.
        in_channels: Channels of images.
        stem: Names of the convolutions and norm layers of a deep stem; empty for the 7x7 one.
        pooled_shortcuts: For each stage, whether its shortcut has a pooling before.
    """

    depth: int
    blocks: tuple[int, ...]
    bottleneck: bool
    groups: int
    width: int
    base_channels: int
    stem_channels: int
    in_channels: int
    stem: tuple[tuple[str, str], ...]
    pooled_shortcuts: tuple[bool, ...]

    @property
    def type(self) -> str:
        """Class of OpenMMLab."""
        if self.stem:
            return 'ResNetV1d' if any(self.pooled_shortcuts) else 'ResNetV1c'
        return 'ResNet' if self.groups == 1 else 'ResNeXt'

    @property
    def name(self) -> str:
        """Usual name: ``ResNet-50``, ``ResNeXt-50 32x4d``."""
        name = f'{self.type}-{self.depth}'
        return name if self.groups == 1 else f'{name} {self.groups}x{self.width // self.groups}d'

    @property
    def file_name(self) -> str:
        """Name in file names: ``resnet50``, ``resnext50_32x4d``."""
        return self.name.replace('-', '').replace(' ', '_').lower()

    @property
    def out_channels(self) -> int:
        """Channels of the last stage, which a linear layer takes."""
        return self.base_channels * 2 ** (len(self.blocks) - 1) * (4 if self.bottleneck else 1)

    def config(self, width_name: str = 'base_width') -> dict[str, Any]:
        """Entry of an OpenMMLab config that builds it.

        Args:
            width_name: What a ResNeXt's channels of a group are called, if they are not the usual
                4: ``'base_width'`` in mmdet and mmseg, ``'width_per_group'`` in mmpretrain and
                mmpose.
        """
        usual = {'groups': 1, 'base_channels': 64, 'stem_channels': 64, 'in_channels': 3}
        special = {key: getattr(self, key) for key in usual if getattr(self, key) != usual[key]}
        width = self.width // self.groups
        if self.groups > 1 and width != 4:
            special[width_name] = width
        return {'type': self.type, 'depth': self.depth, **special}

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors by key, except counters of norm layers, which old files lack."""
        return dict(self._tensors())

    def _tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from self._stem()
        channels = self.stem_channels
        for stage, blocks in enumerate(self.blocks):
            out = self.base_channels * 2**stage * (4 if self.bottleneck else 1)
            for block in range(blocks):
                prefix = f'layer{stage + 1}.{block}'
                yield from self._block(prefix, channels, self.width * 2**stage, out)
                if block == 0 and (stage > 0 or channels != out):
                    at = int(self.pooled_shortcuts[stage])
                    yield f'{prefix}.downsample.{at}.weight', (out, channels, 1, 1)
                    yield from _norm(f'{prefix}.downsample.{at + 1}', out)
                channels = out

    def _stem(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        if not self.stem:
            yield 'conv1.weight', (self.stem_channels, self.in_channels, 7, 7)
            yield from _norm('bn1', self.stem_channels)
        half = self.stem_channels // 2
        sizes = (self.in_channels, half, half, self.stem_channels)
        for (convolution, norm), ins, outs in zip(self.stem, sizes, sizes[1:], strict=False):
            yield f'{convolution}.weight', (outs, ins, 3, 3)
            yield from _norm(norm, outs)

    def _block(
        self, prefix: str, ins: int, width: int, outs: int
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        if self.bottleneck:
            shapes = [
                (width, ins, 1, 1),
                (width, width // self.groups, 3, 3),
                (outs, width, 1, 1),
            ]
        else:
            shapes = [(width, ins, 3, 3), (outs, width, 3, 3)]
        for number, shape in enumerate(shapes, 1):
            yield f'{prefix}.conv{number}.weight', shape
            yield from _norm(f'{prefix}.bn{number}', shape[0])


def read_architecture(state_dict: Mapping[str, Tensor]) -> ResNetArchitecture:
    """Reads the architecture off the backbone's keys and the shapes of its first convolutions.

    Args:
        state_dict: State dict of a backbone with OpenMMLab's keys.

    Raises:
        ValueError: It is not of a ResNet that OpenMMLab has.
    """
    stem = next((names for names in _DEEP_STEMS if f'{names[0][0]}.weight' in state_dict), ())
    first = f'{stem[0][0]}.weight' if stem else 'conv1.weight'
    last = f'{stem[-1][0]}.weight' if stem else 'conv1.weight'
    bottleneck = 'layer1.0.conv3.weight' in state_dict
    for key in (first, last, *(f'layer1.0.conv{i}.weight' for i in range(1, 3 + bottleneck))):
        if key not in state_dict or state_dict[key].ndim != 4 or not state_dict[key].numel():
            raise ValueError(_missing_key(key, state_dict))
    width, per_group = state_dict['layer1.0.conv2.weight'].shape[:2]
    blocks = _count_blocks(state_dict)
    base = state_dict['layer1.0.conv3.weight'].shape[0] // 4 if bottleneck else width
    architecture = ResNetArchitecture(
        depth=_depth(bottleneck, blocks),
        blocks=blocks,
        bottleneck=bottleneck,
        groups=max(width // per_group, 1) if bottleneck else 1,
        width=width,
        base_channels=base,
        stem_channels=state_dict[last].shape[0],
        in_channels=state_dict[first].shape[1],
        stem=stem,
        pooled_shortcuts=tuple(
            f'layer{stage}.0.downsample.2.weight' in state_dict if stem else False
            for stage in range(1, 5)
        ),
    )
    if architecture.groups == 1 and width != base:
        raise ValueError(
            f"the backbone must be as wide as OpenMMLab's ResNet, {base} channels in the 3x3 "
            f'convolutions of its first stage, got {width}: a Wide-ResNet, which OpenMMLab does '
            'not have (its ResNeXt ignores the width without groups)'
        )
    return architecture


def check_tensors(state_dict: Mapping[str, Tensor], architecture: ResNetArchitecture) -> None:
    """Raises ValueError unless the state dict has exactly the architecture's keys and shapes."""
    expected = architecture.tensors()
    counters = {
        f'{key.removesuffix("running_mean")}num_batches_tracked'
        for key in expected
        if key.endswith('running_mean')
    }
    fit = compare_tensors(expected, {k: v for k, v in state_dict.items() if k not in counters})
    problems = [
        f'{len(names)} {what} ({", ".join(names[:4])}{", ..." if len(names) > 4 else ""})'
        for what, names in (
            ('unexpected keys', fit.unexpected),
            ('keys are missing', fit.missing),
            ('tensors have another shape', list(map(fit.described, fit.reshaped))),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f'the backbone must have the tensors of a {architecture.name} and no others, got '
            f'{"; ".join(problems)}{_guess(fit)}'
        )


def check_values(state_dict: Mapping[str, Tensor]) -> None:
    """Raises ValueError unless all tensors but norm layers' counters are finite and floating."""
    values = {k: v for k, v in state_dict.items() if not k.endswith('num_batches_tracked')}
    for what, names in (
        ('floating-point numbers', [k for k, v in values.items() if not v.is_floating_point()]),
        ('finite', [k for k, v in values.items() if not v.float().isfinite().all()]),
    ):
        if names:
            raise ValueError(
                f'the weights must be {what}, got others in {len(names)} tensors (first: '
                f'{names[0]}); its training diverged, or it is quantised; take another checkpoint'
            )


def _depth(bottleneck: bool, blocks: tuple[int, ...]) -> int:
    if (bottleneck, blocks) not in _DEPTHS:
        raise ValueError(
            f'the backbone must be a ResNet-{", -".join(map(str, _DEPTHS.values()))}, got '
            f'{"bottleneck" if bottleneck else "basic"} blocks {blocks} in its stages; other '
            'depths have no config in OpenMMLab'
        )
    return _DEPTHS[bottleneck, blocks]


def _count_blocks(state_dict: Mapping[str, Tensor]) -> tuple[int, ...]:
    numbers: dict[int, int] = {}
    for key in state_dict:
        if match := re.match(r'layer(\d+)\.(\d+)\.', key):
            stage, block = int(match[1]), int(match[2])
            numbers[stage] = max(numbers.get(stage, 0), block + 1)
    return tuple(numbers[stage] for stage in sorted(numbers))


def _norm(prefix: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name in _NORM:
        yield f'{prefix}.{name}', (channels,)


def _missing_key(key: str, state_dict: Mapping[str, Tensor]) -> str:
    reason = ''
    if 'conv1.0.weight' in state_dict:
        reason = (
            ': its stem is three 3x3 convolutions (conv1.0, conv1.3, conv1.6; a ResNet-C, -D, -S '
            'or -T), which no ResNet with a 7x7 stem computes'
        )
    shape = state_dict[key].shape if key in state_dict else None
    found = f'the keys {", ".join(map(repr, list(state_dict)[:3]))}'
    found = found if shape is None else f'it in the shape {tuple(shape)}'
    return f'the backbone must be a ResNet with the convolution {key!r}, got {found}{reason}'


def _guess(fit: TensorFit) -> str:
    """Probable cause of a difference."""
    foreign, missing = fit.unexpected, fit.missing
    if any('.se.' in key or '.se_layer.' in key for key in foreign):
        return '; squeeze-and-excitation or channel attention is no part of a plain ResNet'
    if missing and all('running_' in key for key in missing):
        return '; without running statistics it is no BatchNorm (GroupNorm?)'
    if any('conv2_offset' in key or 'conv2.conv_offset' in key for key in foreign):
        return '; deformable convolutions are no part of a plain ResNet'
    return ''
