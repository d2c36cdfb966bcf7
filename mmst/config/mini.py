"""``--mini``: any config of the zoo on a laptop's CPU, with generated data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmst.engine.accelerator import has_accelerator
from mmst.models.st_backbone import PAD_SMALL_MAP, argument_names

from .classes import class_of
from .data import set_data_root
from .schedule import set_max_iters
from .sizes import set_image_scale
from .stand_ins import stand_in_layout, use_stand_ins
from .traversal import leaf_datasets, scoped_type_name, transforms, type_name

__all__ = ['LAYOUTS', 'MINI_SETTINGS', 'MiniSettings', 'apply_mini', 'layout_of']

LAYOUTS = {
    'mmdet.CocoDataset': 'coco',
    'mmdet.CocoPanopticDataset': 'coco_panoptic',
    'mmpose.CocoDataset': 'coco_keypoints',
    'mmseg.CityscapesDataset': 'cityscapes',
    'mmpretrain.ImageNet': 'imagenet',
    'mmpretrain.CIFAR10': 'cifar10',
    'mmpretrain.CIFAR100': 'cifar100',
}
"""Dataset type -> how its files are laid out.

The library counts: the CocoDataset of mmpose reads keypoints, that of mmdet boxes.
"""


@dataclass(frozen=True)
class MiniSettings:
    """Settings of ``--mini`` for one layout.

    Attributes:
        num_train: Number of generated training images.
        num_val: Number of generated validation images.
        scale: Image scale, (width, height); in pose estimation the size of a person's crop, in
            classification that of the network's input. None: images stay as they are.
        batch_size: Images per training iteration.
        num_workers: Worker processes per dataloader.
        max_iters: Length of the training in iterations.
        lr: Learning rate per type of optimiser; others keep the config's.
        num_rois: Boxes per image on which the second stage of a detector is trained: on small
            images it would cost more than all the rest.
    """

    num_train: int
    num_val: int
    scale: tuple[int, int] | None
    batch_size: int
    num_workers: int
    max_iters: int
    lr: Mapping[str, float] = field(default_factory=dict)
    num_rois: int | None = None


_DETECTION = MiniSettings(
    num_train=240,
    num_val=40,
    scale=(160, 128),
    batch_size=2,
    num_workers=1,
    max_iters=180,
    lr={'AdamW': 5e-4, 'SGD': 0.01},
    num_rois=128,
)

_CIFAR = MiniSettings(
    num_train=400,
    num_val=100,
    scale=None,
    batch_size=16,
    num_workers=1,
    max_iters=120,
    lr={'AdamW': 1e-3, 'SGD': 0.02},
)

MINI_SETTINGS = {
    'coco': _DETECTION,
    'coco_panoptic': _DETECTION,
    'coco_keypoints': MiniSettings(
        num_train=240,
        num_val=40,
        scale=(96, 128),
        batch_size=8,
        num_workers=1,
        max_iters=400,
        lr={'Adam': 1e-3, 'AdamW': 1e-3},
    ),
    'cityscapes': MiniSettings(
        num_train=120,
        num_val=24,
        scale=(384, 192),
        batch_size=4,
        num_workers=1,
        max_iters=180,
        lr={'AdamW': 5e-4, 'SGD': 0.01},
    ),
    'imagenet': MiniSettings(
        num_train=160,
        num_val=40,
        scale=(64, 64),
        batch_size=16,
        num_workers=1,
        max_iters=200,
        lr={'AdamW': 1e-3, 'SGD': 0.02},
    ),
    'cifar10': _CIFAR,
    'cifar100': _CIFAR,
}
"""Layout -> settings; a layout is listed once there is a generator for it."""


def layout_of(cfg: Config) -> str:
    """Returns the layout of a config's data, or of the generated data that stand for it.

    Raises:
        ValueError: For some of the datasets, or for all together, there are no generated data.
    """
    scope = _scope(cfg)
    layouts: dict[str, str | None] = {}
    for dataset in leaf_datasets(cfg):
        kind = scoped_type_name(dataset, scope)
        layouts[kind] = LAYOUTS.get(kind) or stand_in_layout(dataset, scope)
    found = set(layouts.values())
    if len(found) == 1 and None not in found:
        return str(found.pop())
    without = sorted(kind for kind, layout in layouts.items() if layout is None)
    if without:
        problem = f'there are no generated data for {", ".join(without)}'
    elif layouts:
        problem = f'{", ".join(sorted(layouts))} have data of different kinds'
    else:
        problem = 'the config has none'
    raise ValueError(
        f'--mini needs datasets like one of {sorted(LAYOUTS)}, and {problem}; leave --mini '
        'out, and use --data-root and --max-iters'
    )


def _scope(cfg: Config) -> str:
    return cfg.get('default_scope') or 'mmengine'


def _has_generator(cfg: Config, dataset: ConfigDict) -> bool:
    return scoped_type_name(dataset, _scope(cfg)) in LAYOUTS


def apply_mini(
    cfg: Config, data_root: str | Path | None = None, mini_root: str | Path = 'data/mini'
) -> Config:
    """Makes a config small, in place: its data, its images and its schedule.

    Args:
        cfg: Config.
        data_root: Folder of data to use, in the layout of the generated ones. Defaults to a
            generated mini data set in ``mini_root/<layout>``, which is made when it is not there.
        mini_root: Where generated data sets are.

    Returns:
        ``cfg``.

    Raises:
        ValueError: There is no mini data set for the type of data of this config, or it has no
            training to shorten.
    """
    layout = layout_of(cfg)
    missing = [
        name for name in ('train_dataloader', 'train_cfg', 'optim_wrapper') if not cfg.get(name)
    ]
    if not missing and not cfg.optim_wrapper.get('optimizer'):
        missing = ['optim_wrapper.optimizer']
    if missing:
        raise ValueError(
            f'--mini needs {", ".join(missing)} in the config, got none; leave --mini out, and use '
            '--data-root'
        )
    settings = MINI_SETTINGS[layout]
    if data_root is None:
        data_root = _generated(layout, Path(mini_root) / layout, settings)
    use_stand_ins(cfg, _scope(cfg), partial(_has_generator, cfg))
    set_data_root(cfg, data_root)
    if settings.scale is not None:
        set_image_scale(cfg, settings.scale)
    set_max_iters(cfg, settings.max_iters)
    _set_loaders(cfg, settings)
    _set_num_rois(cfg, settings.num_rois)
    _pad_small_maps(cfg)
    _use_full_precision(cfg)
    optimizer = cfg.optim_wrapper.optimizer
    optimizer.lr = settings.lr.get(type_name(optimizer) or '', optimizer.lr)
    if not has_accelerator():
        _disable_amp(cfg.optim_wrapper)
    return cfg


def _disable_amp(wrapper: ConfigDict) -> None:
    """Makes a wrapper for mixed precision, which needs an accelerator, a plain one."""
    if type_name(wrapper) == 'AmpOptimWrapper':
        wrapper.type = 'OptimWrapper'
        for option in ('loss_scale', 'dtype', 'use_fp16'):
            wrapper.pop(option, None)


def _generated(layout: str, root: Path, settings: MiniSettings) -> Path:
    from mmst.mini import make_mini_data  # needs OpenCV, which mmst itself does not

    return make_mini_data(
        layout, root, num_train=settings.num_train, num_val=settings.num_val, seed=0
    )


def _set_num_rois(cfg: Config, num_rois: int | None) -> None:
    stages = ((cfg.get('model') or {}).get('train_cfg') or {}).get('rcnn') or []
    for stage in stages if isinstance(stages, list) else [stages]:  # Cascade R-CNN has several
        if num_rois is not None and 'num' in stage.get('sampler', {}):
            stage.sampler.num = num_rois


def _pad_small_maps(cfg: Config) -> None:
    """Lets mmpretrain's Swins take the maps of small images, which are smaller than a window."""
    for node in transforms(cfg.get('model')):
        if PAD_SMALL_MAP in argument_names(class_of(cfg, node)):
            node[PAD_SMALL_MAP] = True


def _use_full_precision(cfg: Config) -> None:
    """Replaces mixed precision where there is no device for it."""
    wrapper = cfg.optim_wrapper
    if type_name(wrapper) == 'AmpOptimWrapper' and not has_accelerator():
        wrapper.type = 'OptimWrapper'
        for option in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(option, None)


def _set_loaders(cfg: Config, settings: MiniSettings) -> None:
    cfg.train_dataloader.batch_size = settings.batch_size
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            cfg[name].num_workers = settings.num_workers
            cfg[name].persistent_workers = settings.num_workers > 0
