"""A random part of a batch."""

from __future__ import annotations

from .draw import Draw

__all__ = ['check_batch_fraction', 'sample_images']


def sample_images(
    count: int, fraction: float, *, seed: int, step: int, index: int = 0
) -> tuple[int, ...]:
    """Draws which images of a batch a subnet sees.

    Args:
        count: Images of the batch, B.
        fraction: Part of them, in (0, 1].
        seed: Seed of the run.
        step: Training iteration.
        index: Which subnet of this iteration.

    Returns:
        ``fraction * count`` positions, rounded half up, at least one, in ascending order. They
        depend on nothing but the arguments.

    Raises:
        ValueError: ``fraction`` is out of range, or there is no image.
    """
    check_batch_fraction(fraction)
    if count < 1:
        raise ValueError(f'count must be at least one image to draw from, got {count}')
    size = max(1, int(fraction * count + 0.5))
    generator = Draw(seed, step, index).generator('images')
    return tuple(sorted(generator.sample(range(count), size)))


def check_batch_fraction(fraction: float) -> None:
    """Raises ValueError unless ``fraction`` is a number in (0, 1]."""
    if not (isinstance(fraction, (int, float)) and 0 < fraction <= 1):
        raise ValueError(
            f'batch_fraction must be in (0, 1], got {fraction!r}; 1 gives a subnet the whole batch'
        )
