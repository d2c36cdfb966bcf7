"""The batch that a subnet sees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mmengine.dist import get_rank
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmst.core import Draw, sample_images
from mmst.core.resize import Size, resize_padded_batch, scale_size, stack_size
from mmst.ground_truth.elements import copy_value
from mmst.ground_truth.image_resize import ImageResize
from mmst.ground_truth.task import Task, find_task, task_of

from .inputs import RandomSmallerInput
from .labels import IMAGES, labelled
from .random_state import private_random_state

__all__ = ['SubnetBatch', 'check_batch', 'copy_samples_of', 'draw_subnet_batch', 'subnet_batch']


@dataclass(frozen=True)
class SubnetBatch:
    """A batch for one subnet pass.

    It shares no ground truth with the main network's that a model changes. Lists and dicts of the
    metainfo are shared, and all data samples of classifiers.

    Args:
        inputs: Images of shape (B, C, H, W).
        data_samples: B data samples that fit them.
        image_hw: Size (height, width) in pixels that holds each image, without the padding of the
            batch, and before transforms.
        images: Positions of the images in the main network's batch, ``None`` if it is all of them.
        sizes_hw: Size of each image without padding, ``None`` where nothing may change sizes.
    """

    inputs: Tensor
    data_samples: Sequence[BaseDataElement]
    image_hw: Size
    images: tuple[int, ...] | None = None
    sizes_hw: Sequence[Size] | None = None


def draw_subnet_batch(
    model: BaseModel,
    inputs: Tensor,
    data_samples: Sequence[BaseDataElement],
    draw: Draw,
    *,
    rule: RandomSmallerInput | None,
    batch_fraction: float,
) -> SubnetBatch:
    """Draws which images of a preprocessed batch a subnet sees and how large, and makes its batch.

    Args:
        model: See :func:`subnet_batch`, as for ``inputs``, ``data_samples`` and the errors.
        inputs: Preprocessed images of shape (B, C, H, W).
        data_samples: Their B data samples, which are not modified.
        draw: Which subnet the batch is for.
        rule: Draws the size of the images; ``None`` keeps it.
        batch_fraction: Part of the images that the subnet sees, in (0, 1].
    """
    images = None
    if batch_fraction < 1:
        images = sample_images(len(inputs), batch_fraction, **vars(draw))
    list_sizes = None if rule is None else functools.partial(rule.sizes, draw=draw)
    keeps_canvas = rule is not None and rule.keeps_canvas
    batch = subnet_batch(model, inputs, data_samples, list_sizes, images, keeps_canvas)
    if rule is None or rule.transforms is None:
        return batch
    key = f'{draw.key("transforms")}:{get_rank()}'
    with labelled(IMAGES), private_random_state(key, inputs.device):
        changed = rule.transforms(batch.inputs, model.data_preprocessor)
    size_hw = (changed.shape[-2], changed.shape[-1])
    sizes_hw = batch.sizes_hw if size_hw == batch.inputs.shape[-2:] else [size_hw] * len(changed)
    return replace(batch, inputs=changed, sizes_hw=sizes_hw)


def check_batch(
    model: BaseModel,
    inputs: Tensor,
    data_samples: Sequence[BaseDataElement],
    rule: RandomSmallerInput,
) -> None:
    """Checks with a preprocessed batch that a rule can be followed, at its extreme sizes.

    Args:
        model: See :func:`subnet_batch`, as for ``inputs``, ``data_samples`` and the errors.
        inputs: Preprocessed images of shape (B, C, H, W).
        data_samples: Their B data samples, which are not modified.
        rule: Draws the size of the images, and may transform them.

    Raises:
        ValueError: The rule transforms images whose ground truth would have to follow.
    """
    bounds = [rule.smallest_sizes]
    if rule.max_ratio > 1:
        bounds.append(rule.largest_sizes)
    for list_sizes in bounds:
        subnet_batch(model, inputs, data_samples, list_sizes, keeps_canvas=rule.keeps_canvas)
    if rule.transforms is not None and not task_of(data_samples[0]).is_placeless(data_samples):
        raise ValueError(
            'transforms must be left out where ground truth has a place in the image, which would '
            f'have to follow, got {rule.transforms} for {type(data_samples[0]).__name__}; they are '
            'for classifiers, whose labels stay what they are'
        )


def subnet_batch(
    model: BaseModel,
    inputs: Tensor,
    data_samples: Sequence[BaseDataElement],
    list_sizes: Callable[[Size], Sequence[Size]] | None,
    images: tuple[int, ...] | None = None,
    keeps_canvas: bool = False,
) -> SubnetBatch:
    """Makes a smaller copy of a preprocessed batch.

    The whole batch is scaled by one ratio. Each image is resized by itself, and the batch padded as
    the model's preprocessor pads images of such sizes, or to what the network halves without a rest
    (:meth:`Task.divisor_hw`); batch augmentations are not repeated.

    Args:
        model: The model, for the settings of its data preprocessor.
        inputs: Preprocessed images of shape (B, C, H, W).
        data_samples: Their B data samples, which are not modified.
        list_sizes: Maps the size of the main network's images, which holds each of them without
            padding, to the sizes that they go through. The last is the subnet's. ``None`` keeps it.
        images: Positions of the images that the subnet sees. Defaults to all.
        keeps_canvas: Whether the batch keeps its padded size: the smaller images lie in the upper
            left corner, where those of a padded batch are, and the rest is padding.

    Raises:
        TypeError: ``inputs`` is not a tensor, or the data samples are of an unknown library.
        ValueError: A ground-truth field cannot be resized, or a size rounds to nothing.
    """
    if not isinstance(inputs, Tensor):
        raise TypeError(
            f'inputs must be one tensor of shape (B, C, H, W) to train subnets, got '
            f'{type(inputs).__name__}; preprocessors with several branches are not supported'
        )
    if images is not None:
        inputs, data_samples = inputs[list(images)], [data_samples[image] for image in images]
    if list_sizes is None:
        main_hw = (inputs.shape[-2], inputs.shape[-1])
        return SubnetBatch(inputs, copy_samples_of(data_samples), main_hw, images)
    task = task_of(data_samples[0])
    from_hws = task.image_sizes(inputs, data_samples)
    main_hw = stack_size(from_hws)
    sizes = list_sizes(main_hw)
    if all(size_hw == main_hw for size_hw in sizes):
        return SubnetBatch(inputs, task.copy_samples(data_samples), main_hw, images, from_hws)
    ratios = [min(size_hw) / min(main_hw) for size_hw in sizes]
    inputs, resizes = _resize_images(model, task, inputs, from_hws, ratios, keeps_canvas)
    return SubnetBatch(
        inputs,
        task.resize_samples(model, data_samples, resizes),
        sizes[-1],
        images,
        [resize.to_hw for resize in resizes],
    )


def copy_samples_of(data_samples: Sequence[BaseDataElement]) -> Sequence[BaseDataElement]:
    """Copies data samples, perhaps of a library that nothing is known about."""
    known = isinstance(data_samples, Sequence) and data_samples
    task = find_task(data_samples[0]) if known else None
    return copy_value(data_samples) if task is None else task.copy_samples(data_samples)


def _resize_images(
    model: BaseModel,
    task: Task,
    inputs: Tensor,
    from_hws: Sequence[Size],
    ratios: Sequence[float],
    keeps_canvas: bool,
) -> tuple[Tensor, list[ImageResize]]:
    """Resizes B images of a padded batch to some of their sizes, one after the other.

    Returns:
        The batch, of shape (B, C, *padded size), and the B resizes, shared by images of one size.
    """
    padded_main_hw = (inputs.shape[-2], inputs.shape[-1])
    if keeps_canvas:
        divisor_hw = (task.pad_divisor(model), task.pad_divisor(model))
    else:
        divisor_hw = task.divisor_hw(model, padded_main_hw)
    to_hws = from_hws
    for ratio in ratios:
        source_hws = to_hws
        scaled = {from_hw: scale_size(from_hw, ratio) for from_hw in set(from_hws)}
        to_hws = [scaled[from_hw] for from_hw in from_hws]
        padded_hw = padded_main_hw
        if not keeps_canvas:
            padded_hw = task.padded_size(model, to_hws, ratio, padded_main_hw, divisor_hw)
        with labelled(IMAGES):
            inputs = resize_padded_batch(
                inputs, source_hws, to_hws, padded_hw, task.pad_value(model)
            )
    resizes = {
        from_hw: ImageResize(
            from_hw,
            to_hw,
            padded_main_hw,
            padded_hw,
            divisor_hw,
            model.data_preprocessor,
            keeps_canvas,
        )
        for from_hw, to_hw in scaled.items()
    }
    return inputs, [resizes[from_hw] for from_hw in from_hws]
