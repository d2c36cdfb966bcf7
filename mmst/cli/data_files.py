"""Check that the data of a config are there, and can be read, before a run is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict

from mmst.config.traversal import datasets, leaf_datasets, transforms, type_name

from .packages import check_packages

__all__ = ['check_data_files']

_GENERATED_DATA = 'use --mini for generated data'
_TRUE_BOXES = (
    'validate on the true boxes: --cfg-options val_dataloader.dataset.bbox_file=None '
    'test_dataloader.dataset.bbox_file=None'
)


@dataclass(frozen=True)
class _NamedFile:
    """A file or folder that a dataset's config names, and what a user can do without it."""

    option: str
    path: Path
    remedy: str = _GENERATED_DATA


def check_data_files(cfg: Config, loaders: tuple[str, ...]) -> None:
    """Checks that annotation files, image folders and packages of some dataloaders are there.

    Datasets that have no ``data_root``, or whose files are not local, are left to upstream; so are
    image folders where no pipeline loads images (pose lifting works on keypoints alone).

    Args:
        cfg: Config.
        loaders: Names of its dataloaders, e.g. ``('train_dataloader',)``.

    Raises:
        FileNotFoundError: An annotation file or an image folder is missing.
        ImportError: A package is missing, see :func:`~mmst.cli.packages.check_packages`.
    """
    check_packages(cfg, loaders)
    for loader in loaders:
        loads_images = any(
            'LoadImage' in str(type_name(transform))
            for dataset in datasets(cfg, (loader,))
            for transform in transforms(dataset.get('pipeline'))
        )
        for dataset in leaf_datasets(cfg, (loader,)):
            if not _is_local(dataset):
                continue
            for file in _named_files(dataset, loads_images):
                _check_file(file, f'{file.option} of {loader} ({type_name(dataset)})')


def _is_local(dataset: ConfigDict) -> bool:
    root = dataset.get('data_root')
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    return bool(root) and '://' not in root and backend in ('local', 'disk')


def _named_files(dataset: ConfigDict, loads_images: bool) -> list[_NamedFile]:
    named = [('ann_file', dataset.get('ann_file'))]
    prefix = dataset.get('data_prefix')
    if loads_images and isinstance(prefix, dict):
        # Others (seg, depth, …) may be there without being loaded.
        named += [(f'data_prefix.{key}', prefix[key]) for key in prefix if key.startswith('img')]
    elif loads_images:
        named.append(('data_prefix', prefix))
    if loads_images and type_name(dataset) == 'ImageNet' and not prefix:
        named.append(('split', dataset.get('split')))  # the name of a folder
    root = Path(dataset.data_root)
    files = [
        _NamedFile(name, root / path) for name, path in named if path and isinstance(path, str)
    ]
    detections = dataset.get('bbox_file')
    if detections and '://' not in detections:  # mmpose does not look for it under data_root
        files.append(_NamedFile('bbox_file', Path(detections), _TRUE_BOXES))
    return files


def _check_file(file: _NamedFile, what: str) -> None:
    if not file.path.exists():
        raise FileNotFoundError(
            f'{what} must exist, and there is no {str(file.path)!r}; put the data there, point '
            f'--data-root at a folder of the same layout, or {file.remedy}'
        )
