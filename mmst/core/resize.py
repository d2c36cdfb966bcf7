"""Random smaller inputs (ST++ section 3.3.2, eq. 7-9).

Sizes are (height, width) in pixels. B is the number of images of a batch, C their channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from .draw import Draw

__all__ = ['resize_batch', 'resize_padded_batch', 'sample_size', 'scale_size']

Size = tuple[int, int]
"""Height and width in pixels."""

LARGEST_STRIDE = 32
"""Pixels of the input between two cells of the last feature map, for most networks."""


def sample_size(
    size_hw: Size,
    min_ratio: float = 0.43,
    *,
    seed: int,
    step: int,
    index: int = 0,
    size_divisor: int = 1,
    max_ratio: float = 1.0,
) -> Size:
    """Draws the size of a subnet's input.

    The shorter side is a uniform integer in ``[int(min_ratio * s), int(max_ratio * s)]``, at least
    1, s being that of the main network's input; the aspect ratio is kept. The draw depends on
    nothing but the arguments: a resumed run repeats it, and ranks whose batches differ in size draw
    the same ratio, up to rounding.

    An input without a multiple of ``size_divisor`` in that range keeps its size: the main network
    takes it, and it is no further size for which a kernel is chosen. :func:`smallest_size` tells
    before whether there is one, and :func:`lies_on_lattice` after.

    Args:
        size_hw: Size of the main network's input.
        min_ratio: Smallest ratio of the sides, in (0, 1].
        seed: Seed of the run.
        step: Training iteration.
        index: Which subnet of this iteration.
        size_divisor: The shorter side is a multiple of it, in pixels: a coarser lattice has fewer
            sizes, for which kernels are chosen and memory is cached.
        max_ratio: Largest ratio of the sides, at least 1, for larger inputs than the main network's
            (ST++ Table I).

    Raises:
        ValueError: ``min_ratio``, ``size_divisor`` or ``max_ratio`` is out of range.
    """
    sides = _shorter_sides(size_hw, min_ratio, size_divisor, max_ratio) or [min(size_hw)]
    position = Draw(seed, step, index).generator('size').random()
    return scale_size(size_hw, sides[int(position * len(sides))] / min(size_hw))


def smallest_size(
    size_hw: Size, min_ratio: float, size_divisor: int = 1, max_ratio: float = 1.0
) -> Size:
    """Smallest size that :func:`sample_size` draws for inputs of a size, with the same arguments.

    Raises:
        ValueError: An argument is out of range, the smallest size rounds to nothing, or there is no
            multiple of ``size_divisor`` between it and the largest.
    """
    sides, shorter = _shorter_sides(size_hw, min_ratio, size_divisor, max_ratio), min(size_hw)
    smallest = int(min_ratio * shorter)
    if smallest < 1:
        raise ValueError(
            f'min_ratio times the shorter side must be at least one pixel, got {min_ratio} * '
            f'{shorter} for an input of {tuple(size_hw)}; use larger inputs or a larger min_ratio'
        )
    if not sides:
        raise ValueError(
            'size_divisor must have a multiple between the smallest and the largest size, got '
            f'{size_divisor} for shorter sides of {smallest} to {_largest(shorter, max_ratio)}; '
            'make it smaller'
        )
    return scale_size(size_hw, sides[0] / shorter)


def largest_size(
    size_hw: Size, min_ratio: float, size_divisor: int = 1, max_ratio: float = 1.0
) -> Size:
    """Largest size that :func:`sample_size` draws for inputs of a size, with the same arguments.

    Raises:
        ValueError: An argument is out of range.
    """
    sides = _shorter_sides(size_hw, min_ratio, size_divisor, max_ratio) or [min(size_hw)]
    return scale_size(size_hw, sides[-1] / min(size_hw))


def lies_on_lattice(size_hw: Size, size_divisor: int) -> bool:
    """Returns whether a size of :func:`sample_size` is a multiple, not just the input's own."""
    return min(size_hw) % size_divisor == 0


def _shorter_sides(size_hw: Size, min_ratio: float, size_divisor: int, max_ratio: float) -> range:
    """Multiples of the divisor between the smallest and the largest shorter side; may be empty."""
    check_min_ratio(min_ratio)
    check_max_ratio(max_ratio)
    check_size_divisor(size_divisor)
    smallest, largest = max(1, int(min_ratio * min(size_hw))), _largest(min(size_hw), max_ratio)
    return range(-(-smallest // size_divisor) * size_divisor, largest + 1, size_divisor)


def _largest(shorter: int, max_ratio: float) -> int:
    return int(round(max_ratio * shorter, 6))  # 1.15 * 200 is a little less than 230


def check_min_ratio(min_ratio: float) -> None:
    """Raises ValueError unless ``min_ratio`` is a number in (0, 1]."""
    if not (isinstance(min_ratio, (int, float)) and 0 < min_ratio <= 1):
        raise ValueError(
            f'min_ratio must be in (0, 1], got {min_ratio!r}; 0.43 is the best setting of the '
            'paper, 1 leaves the inputs as they are'
        )


def check_max_ratio(max_ratio: float) -> None:
    """Raises ValueError unless ``max_ratio`` is a finite number of at least 1."""
    if not (isinstance(max_ratio, (int, float)) and 1 <= max_ratio < float('inf')):
        raise ValueError(
            f'max_ratio must be a finite number of at least 1, got {max_ratio!r}; 1 makes no input '
            "larger than the main network's"
        )


def check_size_divisor(size_divisor: int) -> None:
    """Raises ValueError unless ``size_divisor`` is a positive integer."""
    if type(size_divisor) is not int or size_divisor < 1:
        raise ValueError(
            f'size_divisor must be an integer of at least 1, got {size_divisor!r}; 1 allows every '
            'size'
        )


def scale_size(size_hw: Size, ratio: float) -> Size:
    """Scales a size, rounding half up as OpenMMLab's ``Resize`` does, to at least one pixel."""
    height, width = (max(1, int(side * ratio + 0.5)) for side in size_hw)
    return height, width


def resize_batch(inputs: Tensor, size_hw: Size) -> Tensor:
    """Resizes images bilinearly, without antialiasing, pixel centres aligned.

    Args:
        inputs: Float images of shape (B, C, H, W).
        size_hw: The new size.

    Returns:
        Images of shape (B, C, *size_hw); ``inputs`` itself if it has that size already.

    Raises:
        ValueError: ``inputs`` is not a float tensor of four dimensions, or a side is below 1.
    """
    if inputs.ndim != 4 or not inputs.is_floating_point():
        raise ValueError(
            'inputs must be a float tensor of shape (B, C, H, W), got '
            f'{inputs.dtype} of shape {tuple(inputs.shape)}'
        )
    if min(size_hw) < 1:
        raise ValueError(f'size_hw must be at least one pixel a side, got {tuple(size_hw)}')
    if tuple(inputs.shape[-2:]) == tuple(size_hw):
        return inputs
    return F.interpolate(inputs, size=tuple(size_hw), mode='bilinear', align_corners=False)


def resize_padded_batch(
    inputs: Tensor,
    from_hws: Sequence[Size],
    to_hws: Sequence[Size],
    padded_hw: Size,
    pad_value: float = 0.0,
) -> Tensor:
    """Resizes the images of a padded batch, each by itself, and pads them again.

    Padding never bleeds into an image: the result is what one gets by resizing the images before
    they are batched.

    Args:
        inputs: Float images of shape (B, C, H, W), each in the upper left corner of its slot.
        from_hws: B sizes of the images without padding.
        to_hws: B new sizes.
        padded_hw: New size of the batch, at least as large as each new size.
        pad_value: What the rest is filled with.

    Returns:
        Images of shape (B, C, *padded_hw).
    """
    if len(set(from_hws)) == 1 and len(set(to_hws)) == 1:
        height, width = from_hws[0]
        images = resize_batch(inputs[..., :height, :width], to_hws[0])
        return pad_corner(images, padded_hw, pad_value)
    result = inputs.new_full((*inputs.shape[:2], *padded_hw), pad_value)
    for image, slot, (height, width), (new_height, new_width) in zip(
        inputs, result, from_hws, to_hws, strict=True
    ):
        resized = resize_batch(image[None, :, :height, :width], (new_height, new_width))
        slot[:, :new_height, :new_width] = resized[0]
    return result


def pad_corner(images: Tensor, size_hw: Size, value: float = 0.0) -> Tensor:
    """Pads images or maps of shape (..., H, W) at the bottom and on the right to a size.

    Returns:
        A tensor of shape (..., *size_hw); ``images`` itself if it has that size already.
    """
    padding = (0, size_hw[1] - images.shape[-1], 0, size_hw[0] - images.shape[-2])
    return F.pad(images, padding, value=value) if any(padding) else images


def stack_size(sizes_hw: Sequence[Size]) -> Size:
    """Size of the smallest batch that holds images of the given sizes."""
    return max(height for height, _ in sizes_hw), max(width for _, width in sizes_hw)
