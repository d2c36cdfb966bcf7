"""Spaces of subnets of a residual network, and their sampling.

Everything here is data: no function touches a model.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .draw import Draw

__all__ = ['DepthSpace', 'Subnet', 'inter_stage_choices']

RULES = ('ordered', 'stochastic', 'raw')

NAMED_CHOICES = {
    'space1': (2, 3, 6, 3),
    'space2': (2, 3, 5, 2),
    'space3': (1, 2, 4, 1),
    'space4': (1, 2, 5, 2),
    'space5': (1, 2, 4, 2),
}
"""Choices of ST++ Table II, for ResNet-50. The authors' code numbers its spaces differently."""

NAMED_FULL = (3, 4, 6, 3)

INTER_STAGE = 'inter_stage'
ALWAYS_KEPT = 3
"""Blocks of a stage that the best space of the paper never skips."""


@dataclass(frozen=True, repr=False)
class Subnet:
    """A shallower network inside a residual network.

    Args:
        depths: Number of blocks kept in each stage.
        kept: Per stage, the indices of the kept blocks in ascending order. ``None`` (the ordered
            rule) keeps the first ``depths[i]`` blocks of stage i.
        raw: Whether kept blocks run without their shortcuts, as the residual branch alone; the
            first block of a stage is always whole.

    Raises:
        ValueError: A stage keeps no block, or ``kept`` contradicts ``depths``.
    """

    depths: tuple[int, ...]
    kept: tuple[tuple[int, ...], ...] | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        depths = _positive_ints('depths', self.depths)
        object.__setattr__(self, 'depths', depths)
        if self.kept is None:
            return
        if not (
            isinstance(self.kept, Sequence)
            and len(self.kept) == len(depths)
            and all(map(_keeps_first, self.kept, depths))
        ):
            raise ValueError(
                'kept must list, for each stage, as many ascending block indices as depths '
                f'says, beginning with 0; got kept={self.kept!r} with depths={depths!r}'
            )
        kept = tuple(tuple(stage) for stage in self.kept)
        ordered = tuple(tuple(range(depth)) for depth in depths)
        object.__setattr__(self, 'kept', None if kept == ordered else kept)

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the kept blocks in each stage."""
        return self.kept or tuple(tuple(range(depth)) for depth in self.depths)

    def __repr__(self) -> str:
        kept = '' if self.kept is None else f', kept={self.kept}'
        raw = ', raw=True' if self.raw else ''
        return f'Subnet(depths={self.depths}{kept}{raw})'


class DepthSpace:
    """The subnets that may be sampled from a residual network.

    Stage i has ``full[i]`` blocks and ``choices[i]`` possible depths: its depth is uniform on
    ``{full[i] - choices[i] + 1, ..., full[i]}`` (the inter-stage rule, ST++ section 3.3.3). The
    inner-stage rule (section 3.2.2) says which blocks a stage of depth d keeps: its first d
    (``'ordered'``) or the first one and a uniformly random d - 1 of the others (``'stochastic'``).
    ``'raw'`` keeps blocks like ``'stochastic'``, and of each but the first the residual branch
    alone: the single paths of the unraveled view.

    A space iterates over its subnets, has a length and answers ``subnet in space``.

    Args:
        full: Number of blocks per stage of the whole network, e.g. ``(3, 4, 6, 3)`` for ResNet-50.
        choices: Number of possible depths per stage, or a name. ``'inter_stage'``, for any network:
            each stage keeps at least its first three blocks, see :func:`inter_stage_choices`. For
            ResNet-50 also a space of ST++ Table II, ``'space1'`` to ``'space5'`` (``'space3'`` is
            the best, and what ``'inter_stage'`` gives there). Defaults to all of them, ``full``.
        rule: ``'ordered'``, ``'stochastic'`` or ``'raw'``.

    Raises:
        ValueError: ``choices`` does not fit ``full``, or the rule is unknown.
    """

    def __init__(
        self,
        full: Sequence[int],
        choices: Sequence[int] | str | None = None,
        rule: str = 'ordered',
    ) -> None:
        self.full = _positive_ints('full', full)
        if isinstance(choices, str):
            choices = _named_choices(choices, self.full)
        self.choices = self.full if choices is None else _positive_ints('choices', choices)
        if len(self.choices) != len(self.full):
            raise ValueError(
                f'choices must have one number per stage: got {len(self.choices)} numbers, '
                f'{self.choices}, for {len(self.full)} stages of {self.full} blocks'
            )
        for stage, (count, depth) in enumerate(zip(self.choices, self.full, strict=True), start=1):
            if count > depth:
                raise ValueError(
                    f'choices of stage {stage} must be at most its {depth} blocks, got {count} in '
                    f'choices={self.choices}; stages have {self.full} blocks'
                )
        if rule not in RULES:
            raise ValueError(f'rule must be one of {RULES}, got {rule!r}')
        self.rule = rule

    @property
    def largest(self) -> Subnet:
        """The subnet with all blocks: the whole network, unless the rule is raw."""
        return Subnet(self.full, raw=self.rule == 'raw')

    @property
    def smallest(self) -> Subnet:
        """The subnet with the fewest blocks; among several, the one that keeps the first blocks."""
        depths = tuple(options[0] for options in self._options())
        return Subnet(depths, raw=self.rule == 'raw')

    @property
    def size(self) -> int:
        """Number of subnets: ``len(space)``, which Python limits to ``sys.maxsize``."""
        if self.rule == 'ordered':
            return math.prod(self.choices)
        return math.prod(
            sum(math.comb(full - 1, depth - 1) for depth in options)
            for full, options in zip(self.full, self._options(), strict=True)
        )

    def sample(self, *, seed: int, step: int, index: int = 0) -> Subnet:
        """Draws a subnet.

        The draw depends on nothing but the arguments, so it is the same on every rank and after
        resuming.

        Args:
            seed: Seed of the run.
            step: Training iteration.
            index: Which subnet of this iteration.
        """
        generator = Draw(seed, step, index).generator('subnet')
        depths = tuple(generator.choice(options) for options in self._options())
        if self.rule == 'ordered':
            return Subnet(depths)
        kept = tuple(
            (0, *sorted(generator.sample(range(1, full), depth - 1)))
            for full, depth in zip(self.full, depths, strict=True)
        )
        return Subnet(depths, kept, raw=self.rule == 'raw')

    def keep_probability(self) -> tuple[tuple[float, ...], ...]:
        """Probability that a drawn subnet contains a block, for each block of each stage."""
        result = []
        for full, options in zip(self.full, self._options(), strict=True):
            if self.rule == 'ordered':
                stage = [sum(depth > block for depth in options) for block in range(full)]
                result.append(tuple(count / len(options) for count in stage))
            else:
                others = sum(depth - 1 for depth in options) / len(options) / max(1, full - 1)
                result.append((1.0, *[others] * (full - 1)))
        return tuple(result)

    def __iter__(self) -> Iterator[Subnet]:
        if self.rule == 'ordered':
            yield from (Subnet(depths) for depths in itertools.product(*self._options()))
            return
        stages = [
            [
                (0, *others)
                for depth in options
                for others in itertools.combinations(range(1, full), depth - 1)
            ]
            for full, options in zip(self.full, self._options(), strict=True)
        ]
        for kept in itertools.product(*stages):
            yield Subnet(tuple(len(stage) for stage in kept), kept, raw=self.rule == 'raw')

    def __len__(self) -> int:
        return self.size

    def __contains__(self, subnet: object) -> bool:
        if not isinstance(subnet, Subnet) or len(subnet.depths) != len(self.full):
            return False
        if self.rule == 'ordered' and subnet.kept is not None:
            return False
        if subnet.raw != (self.rule == 'raw'):
            return False
        return all(
            depth in options and stage[-1] < full
            for depth, options, stage, full in zip(
                subnet.depths, self._options(), subnet.blocks, self.full, strict=True
            )
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DepthSpace) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.full, self.choices, self.rule))

    def __repr__(self) -> str:
        return f'DepthSpace(full={self.full}, choices={self.choices}, rule={self.rule!r})'

    def _options(self) -> list[range]:
        """Possible depths of each stage, ascending."""
        return [
            range(full - count + 1, full + 1)
            for full, count in zip(self.full, self.choices, strict=True)
        ]


def inter_stage_choices(full: Sequence[int]) -> tuple[int, ...]:
    """Returns the choices of ``'inter_stage'``: how many depths each stage of a network may have.

    Each stage keeps at least its first three blocks, all of them where it has fewer. That is the
    rule behind ``(1, 2, 4, 1)``, the best of the spaces that ST++ Table II compares for ResNet-50,
    said for any network: depths vary in the deep stages alone. Two kinds of networks need more:

    * One stage is the whole depth. Three of the 12 layers of a ViT would be a quarter of it, where
      ResNet-50 keeps at least 12 of its 16 blocks. So it keeps at least half: 6 of 12, 12 of 24.
    * If no stage has more than three blocks (ResNet-18), nothing could be skipped. Then each of the
      longest stages may lose its last block: the least that leaves subnets at all.

    Where every stage is a single block there is one subnet, the network.

    Args:
        full: Number of blocks per stage.
    """
    kept = min(ALWAYS_KEPT, max(full) - 1)
    if len(full) == 1:
        kept = max(kept, math.ceil(full[0] / 2))
    return tuple(max(1, depth - max(1, kept) + 1) for depth in full)


def _named_choices(name: str, full: tuple[int, ...]) -> tuple[int, ...]:
    if name == INTER_STAGE:
        return inter_stage_choices(full)
    if name not in NAMED_CHOICES:
        names = [INTER_STAGE, *NAMED_CHOICES]
        raise ValueError(f'choices must be one number per stage or one of {names}, got {name!r}')
    if full != NAMED_FULL:
        raise ValueError(
            f'choices={name!r} is for the stages {NAMED_FULL} of ResNet-50, got stages of {full} '
            f'blocks; give one number per stage (for ResNet-50: {NAMED_CHOICES[name]}), '
            f'or choices={INTER_STAGE!r}, which fits any network'
        )
    return NAMED_CHOICES[name]


def _keeps_first(stage: object, depth: int) -> bool:
    """Tells whether a stage is ``depth`` ascending block indices, the first block's among them."""
    return (
        isinstance(stage, Sequence)
        and len(stage) == depth
        and all(type(block) is int for block in stage)
        and tuple(stage) == tuple(sorted({0, *stage}))
    )


def _positive_ints(name: str, values: Sequence[int]) -> tuple[int, ...]:
    result = tuple(values) if isinstance(values, Sequence) else ()
    if not result or not all(type(value) is int and value >= 1 for value in result):
        raise ValueError(
            f'{name} must be one positive integer per stage, got {values!r}; ResNet-50 has four '
            'stages, of (3, 4, 6, 3) blocks, whose first blocks cannot be skipped'
        )
    return result
