"""Search for the task library that a config is for.

``default_scope`` names it. A new-style config has none: there the class of its model or of its
datasets tells the library.
"""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import dataclass

from mmengine.config import Config

from .traversal import leaf_datasets, scope_of, unbuilt_type

__all__ = ['LIBRARIES', 'Library', 'library_of']


@dataclass(frozen=True)
class Library:
    """One task library.

    Attributes:
        scope: Its ``default_scope``, which is also the name of its Python package.
        extra: The extra that installs it.
        draw_option: Option of its visualization hook that switches it on.
        show_dir_option: Option with the folder for drawn images, of that hook or (``save_dir``) of
            the visualizer.
        dump_metric: Metric that dumps predictions to a file.
    """

    scope: str
    extra: str
    draw_option: str = 'draw'
    show_dir_option: str = 'out_dir'
    dump_metric: str = 'DumpResults'


LIBRARIES = {
    library.scope: library
    for library in (
        Library('mmdet', 'det', show_dir_option='test_out_dir', dump_metric='mmdet.DumpDetResults'),
        Library('mmseg', 'seg', show_dir_option='save_dir'),
        Library('mmpose', 'pose', draw_option='enable'),
        Library('mmpretrain', 'cls', draw_option='enable'),
    )
}

PLAIN = Library('mmengine', extra='')


def library_of(cfg: Config) -> Library:
    """Returns the task library that a config is for.

    Raises:
        ImportError: It is not installed.
        ValueError: ``default_scope`` names something that mmst does not know.
    """
    scope = cfg.get('default_scope') or _scope_of_types(cfg)
    if scope == PLAIN.scope:
        return PLAIN
    if scope not in LIBRARIES:
        raise ValueError(
            f'default_scope must be one of {[*LIBRARIES, PLAIN.scope]}, got {scope!r}; leave it '
            'out for a config that needs no task library'
        )
    library = LIBRARIES[scope]
    if importlib.util.find_spec(scope) is None:
        raise ImportError(
            f"this config needs {scope}, which is not installed; in mmst's folder: "
            f'pip install -e ".[{library.extra}]" (mmcv and mmpose: see docs/install.md)'
        )
    return library


def _scope_of_types(cfg: Config) -> str:
    for node in (cfg.get('model') or {}, *leaf_datasets(cfg)):
        scope = scope_of(unbuilt_type(node) or '', PLAIN.scope)
        if scope in LIBRARIES:
            return scope
        # A user's own class belongs to the library of its base class.
        for parent in inspect.getmro(node.type) if inspect.isclass(node.get('type')) else ():
            if scope_of(parent, PLAIN.scope) in LIBRARIES:
                return scope_of(parent, PLAIN.scope)
    return PLAIN.scope
