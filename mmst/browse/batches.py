"""Training batches as pictures: the subnets' view beside the main network's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmst.config import make_resumable, remove_surroundings
from mmst.config.stimulative_hook import find_stimulative_hook
from mmst.config.training import check_training, remove_pretrained
from mmst.core import DepthSpace, Draw, Subnet
from mmst.core.state import dotted_name
from mmst.engine import HOOKS, RandomStateHook, StimulativeHook, find_stimulated_backbone
from mmst.engine.batch import SubnetBatch, draw_subnet_batch, subnet_batch
from mmst.engine.random_state import private_random_state

from .pixels import input_pictures, is_rgb
from .sheet import Column, compose_sheet, write_sheet
from .truth import SMALL, Drawer, truth_drawer

__all__ = ['BatchViews', 'browse', 'prepare_browse', 'training_batches', 'view_batch']

_MAX_ZOOM = 4


@dataclass(frozen=True)
class BatchViews:
    """One training batch, as each of the networks sees it.

    Args:
        step: Training iteration.
        main: The main network's.
        subnets: Each subnet of the iteration with its batch.
    """

    step: int
    main: SubnetBatch
    subnets: Sequence[tuple[Subnet, SubnetBatch]]


def prepare_browse(cfg: Config) -> StimulativeHook:
    """Makes a Runner of this config one for looking at its training batches, in place.

    Data and model stay as they are. Nothing is validated, logged, downloaded or trained.

    Args:
        cfg: Config of a stimulative training.

    Returns:
        Its hook.

    Raises:
        TypeError: The hook has no such setting.
        ValueError: The config has no training, or no hook or several; or a setting of the hook is
            out of range.
    """
    check_training(cfg)
    hook = HOOKS.build(dict(find_stimulative_hook(cfg)))
    make_resumable(cfg)  # random numbers of data loading workers as in tools/train.py
    remove_surroundings(cfg)
    remove_pretrained(cfg.model)
    return hook


def browse(
    runner: Runner, hook: StimulativeHook, num_batches: int, out_dir: str | Path
) -> list[Path]:
    """Writes a sheet for each image of the first training batches.

    Left is what the main network sees, right of it what each subnet sees, with its ground truth.

    Args:
        runner: Runner of a config that :func:`prepare_browse` prepared.
        hook: What that returned. Every batch is one with subnets, whatever ``begin``, ``interval``
            and ``weight`` are.
        num_batches: How many batches; an epoch-based loop has no more than those of an epoch.
        out_dir: Where the pictures go.

    Returns:
        The files.

    Raises:
        TypeError: Batches are of a library that mmst cannot resize, or of several branches.
        ValueError: There are no batches, the model has no stimulated backbone, or ground truth
            cannot be resized.
    """
    if num_batches < 1:
        raise ValueError(f'num_batches must be at least 1, got {num_batches}')
    model = runner.model
    rgb = is_rgb(_preprocessor_settings(runner.cfg))
    space = cast(DepthSpace, find_stimulated_backbone(model).depth_space)
    seed = runner.seed if hook.seed is None else hook.seed
    draw: Drawer | None = None
    files: list[Path] = []
    Path(out_dir).mkdir(parents=True, exist_ok=True)
    for step, (inputs, data_samples) in enumerate(training_batches(runner, num_batches)):
        views = view_batch(model, inputs, data_samples, hook, seed, step)
        if not files:
            draw = _find_drawer(runner, data_samples[0])
        for image in range(len(inputs)):
            columns = _columns(views, image, space.full, model.data_preprocessor, rgb, draw)
            zoom = max(1, min(_MAX_ZOOM, SMALL // min(inputs.shape[-2:])))
            files.append(Path(out_dir) / f'batch{step:03d}_image{image:02d}.jpg')
            write_sheet(compose_sheet(columns, zoom), files[-1])
    if not files:
        raise ValueError('train_dataloader must yield at least one batch, got none')
    return files


def training_batches(
    runner: Runner, num_batches: int
) -> Iterator[tuple[Any, Sequence[BaseDataElement]]]:
    """Yields the first preprocessed batches of a training, as ``tools/train.py`` loads them.

    Args:
        runner: Runner before its training.
        num_batches: How many batches at most.
    """
    loop = runner.train_loop
    states = RandomStateHook()
    states.before_train(runner)
    states.before_train_epoch(runner)
    # An iteration-based loop has begun to load when it was built.
    batches = getattr(loop, 'dataloader_iterator', None) or iter(loop.dataloader)
    runner.model.train()
    for step, data in zip(range(num_batches), batches, strict=False):
        runner.message_hub.update_info('iter', step)  # some batch augmentations read it
        data = runner.model.data_preprocessor(data, True)
        yield data['inputs'], data['data_samples']


def view_batch(
    model: nn.Module,
    inputs: Tensor,
    data_samples: Sequence[BaseDataElement],
    hook: StimulativeHook,
    seed: int,
    step: int,
) -> BatchViews:
    """Makes the batches of all networks of an iteration, as the hook makes them in training.

    Args:
        model: The model, with a stimulated backbone.
        inputs: Preprocessed images of shape (B, C, H, W).
        data_samples: Their B data samples, which are not modified.
        hook: The hook, for its number of subnets, its inputs and its fraction of the batch.
        seed: Seed of its draws.
        step: Training iteration.
    """
    space = cast(DepthSpace, find_stimulated_backbone(model).depth_space)
    subnets = []
    for index in range(hook.num_subnets):
        draw = Draw(seed, step, index)
        batch = draw_subnet_batch(
            model,
            inputs,
            data_samples,
            draw,
            rule=hook.input_rule,
            batch_fraction=hook.batch_fraction,
        )
        subnets.append((space.sample(**vars(draw)), batch))
    # The same size again: the batch as it is, with the size of its images.
    same = None if hook.input_rule is None else lambda size_hw: [size_hw]
    main = subnet_batch(model, inputs, data_samples, same)
    return BatchViews(step, main, subnets)


def _preprocessor_settings(cfg: Config) -> dict[str, Any]:
    own = (cfg.get('model') or {}).get('data_preprocessor')
    return own or cfg.get('data_preprocessor') or {}  # mmpretrain's stand at the top level


def _find_drawer(runner: Runner, sample: BaseDataElement) -> Drawer | None:
    metainfo = getattr(runner.train_loop.dataloader.dataset, 'metainfo', {})
    draw = truth_drawer(sample, metainfo)
    if draw is None:
        runner.logger.warning(
            f'Ground truth in a {dotted_name(type(sample))} has no '
            'visualizer that mmst knows: only the images are drawn'
        )
    return draw


def _columns(
    views: BatchViews,
    image: int,
    full: tuple[int, ...],
    preprocessor: nn.Module,
    rgb: bool,
    draw: Drawer | None,
) -> list[Column]:
    """Columns of one image: the main network's, then each subnet's."""
    rows = [('main network', full, views.main)]
    rows += [(f'subnet {k}', sub.depths, batch) for k, (sub, batch) in enumerate(views.subnets)]
    columns = []
    for name, depths, batch in rows:
        positions = range(len(batch.inputs)) if batch.images is None else batch.images
        title = [f'iteration {views.step}, {name}', f'depths {"-".join(map(str, depths))}']
        if image not in positions:
            columns.append(Column([*title, 'not among its images']))
            continue
        position = positions.index(image)
        inputs = batch.inputs[position : position + 1]
        picture = input_pictures(inputs, preprocessor, rgb)[0]
        # Visualizers draw colours: the same for all networks, and without a trace in the data.
        with private_random_state('mmst.browse', inputs.device):
            truth = draw(picture, batch.data_samples[position].cpu()) if draw else {}
        title += _size_lines(batch, position, views.main, image)
        columns.append(Column(title, truth or {'input': picture}))
    return columns


def _size_lines(batch: SubnetBatch, position: int, main: SubnetBatch, image: int) -> list[str]:
    """Sizes (height x width) of an image, where it is known, and of the padded batch."""
    height, width = batch.inputs.shape[-2:]
    if batch.sizes_hw is None or main.sizes_hw is None:
        return [f'input {height} x {width}']
    size_hw = batch.sizes_hw[position]
    return [
        f'image {size_hw[0]} x {size_hw[1]}',
        f'input {height} x {width}',
        f'ratio {min(size_hw) / min(main.sizes_hw[image]):.3f}',
    ]
