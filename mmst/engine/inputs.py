"""Size rules for the input of a subnet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmst.core import Draw, sample_size
from mmst.core.resize import (
    Size,
    check_max_ratio,
    check_min_ratio,
    check_size_divisor,
    largest_size,
    lies_on_lattice,
    smallest_size,
)

from .image_transforms import ImageTransforms
from .registry import INPUT_RULES

__all__ = ['RandomSmallerInput']


CANVASES = ('fit', 'keep')


@INPUT_RULES.register_module()
class RandomSmallerInput:
    """Random smaller inputs, see :func:`mmst.core.sample_size`.

    A batch that is too small for a multiple of ``size_divisor`` keeps its size, unless it is the
    first of a run: then no batch may have one, and :meth:`smallest_sizes` is an error.

    Args:
        min_ratio: Smallest ratio between the shorter sides of a subnet's and of the main network's
            images, in (0, 1]. 1 leaves them as they are.
        size_divisor: The shorter side of a subnet's input is a multiple of it, in pixels.
        compound: Whether the input of each subnet of an iteration is made from that of the one
            before it, as in the authors' code, instead of from the main network's (eq. 8).
        canvas: ``'fit'``: the input shrinks with the image. ``'keep'``: it keeps its size, the
            image is in its upper left corner and the rest is padding. For networks that take inputs
            of one size; a subnet then saves no time by its images.
        max_ratio: Largest ratio of the shorter sides, at least 1. Above 1 a subnet may also get
            larger images than the main network, which ST++ finds to be worse (Table I).
        transforms: Configs of what the resized images go through before a subnet sees them: classes
            of ``torchvision.transforms.v2``, see :class:`~.image_transforms.ImageTransforms`. For
            classifiers, whose labels need not follow.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        min_ratio: float = 0.43,
        size_divisor: int = 1,
        compound: bool = False,
        canvas: str = 'fit',
        max_ratio: float = 1.0,
        transforms: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        check_min_ratio(min_ratio)
        check_size_divisor(size_divisor)
        check_max_ratio(max_ratio)
        if canvas not in CANVASES:
            raise ValueError(
                f"canvas must be one of {CANVASES}, got {canvas!r}; 'fit' makes the input as small "
                "as the image, 'keep' pads the image to the old size"
            )
        self.min_ratio = min_ratio
        self.size_divisor = size_divisor
        self.compound = compound
        if canvas == 'keep' and max_ratio > 1:
            raise ValueError(
                f"max_ratio must be 1 with canvas='keep', got {max_ratio}: a larger image does not "
                'fit into an input of the old size'
            )
        self.canvas = canvas
        self.max_ratio = max_ratio
        self.transforms = None if transforms is None else ImageTransforms(transforms)

    @property
    def changes_size(self) -> bool:
        """Tells whether a subnet can get images of another size than the main network."""
        return self.min_ratio < 1 or self.max_ratio > 1

    @property
    def changes_images(self) -> bool:
        """Tells whether a subnet can see anything else than the main network."""
        return self.changes_size or self.transforms is not None

    @property
    def keeps_canvas(self) -> bool:
        """Tells whether inputs keep their size, however small the images are."""
        return self.canvas == 'keep'

    @property
    def expected_area_ratio(self) -> float:
        """Expected number of pixels of a subnet's input over the main network's.

        Of a fine lattice of sizes; a coarse one changes it a little. 1 where the canvas is kept.
        Crops among the transforms are not counted.
        """
        if self.keeps_canvas:
            return 1.0
        low, high = self.min_ratio, self.max_ratio
        return (high**2 + high * low + low**2) / 3

    def sizes(self, size_hw: Size, draw: Draw) -> list[Size]:
        """Lists the sizes (height, width) in pixels that an image goes through.

        Args:
            size_hw: Size of the main network's input.
            draw: Which subnet the input is for.

        Returns:
            At least one size. The last is that of the subnet's input.
        """
        first = 0 if self.compound else draw.index
        return [
            sample_size(
                size_hw,
                self.min_ratio,
                seed=draw.seed,
                step=draw.step,
                index=index,
                size_divisor=self.size_divisor,
                max_ratio=self.max_ratio,
            )
            for index in range(first, draw.index + 1)
        ]

    def smallest_sizes(self, size_hw: Size) -> list[Size]:
        """Lists the sizes of :meth:`sizes` of the smallest input that can replace ``size_hw``.

        Raises:
            ValueError: There is none, see :func:`mmst.core.resize.smallest_size`.
        """
        return [smallest_size(size_hw, self.min_ratio, self.size_divisor, self.max_ratio)]

    def largest_sizes(self, size_hw: Size) -> list[Size]:
        """Lists the sizes of :meth:`sizes` of the largest input that can replace ``size_hw``."""
        return [largest_size(size_hw, self.min_ratio, self.size_divisor, self.max_ratio)]

    def is_fallback(self, size_hw: Size) -> bool:
        """Tells of the last of :meth:`sizes` whether it is that of a too small batch."""
        return not lies_on_lattice(size_hw, self.size_divisor)

    def __repr__(self) -> str:
        lattice = '' if self.size_divisor == 1 else f', multiples of {self.size_divisor}'
        chain = ', resized one after the other' if self.compound else ''
        canvas = ', padded to the old size of the input' if self.keeps_canvas else ''
        transforms = '' if self.transforms is None else f', then {self.transforms}'
        bounds = f'[{self.min_ratio:g}, {self.max_ratio:g}]'
        return (
            f"shorter side uniform in {bounds} of the main network's"
            f'{lattice}{chain}{canvas}{transforms}'
        )
