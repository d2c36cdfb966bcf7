"""The config of a command, with the shared options applied."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmst.checkpoints.safe_load import register_safe_schemes
from mmst.config import (
    apply_library_defaults,
    apply_mini,
    set_data_root,
    set_visualization,
    set_weights,
    set_work_dir,
    stimulate,
)
from mmst.config.file import load_config

__all__ = ['draw_predictions', 'load', 'read', 'set_defaults']


def load(args: argparse.Namespace, work_dir: str | None, *, scratch: bool = True) -> Config:
    """Reads the config of a command and applies the options that commands share.

    Args:
        args: Options of :mod:`mmst.cli.options`.
        work_dir: As in :func:`mmst.config.set_work_dir`.
        scratch: As in :func:`read`.
    """
    return set_defaults(read(args, scratch=scratch), args, work_dir)


def read(args: argparse.Namespace, *, scratch: bool = True) -> Config:
    """Reads the config and applies ``--stimulate``, ``--mini`` or ``--data-root``, and changes.

    Args:
        args: Options of :mod:`mmst.cli.options`.
        scratch: Whether with ``--mini`` the backbone starts from scratch, with live norm layers.

    Raises:
        FileNotFoundError: There is no such config.
        SyntaxError: It is no Python.
        TypeError: ``--stimulate`` has an unknown setting, or does not know the backbone.
        ValueError: ``--cfg-options`` name something that the config does not have.
    """
    register_safe_schemes()  # before the config, whose own modules may register others
    try:
        cfg = load_config(args.config)
    except SyntaxError as error:  # which does not name the file
        raise SyntaxError(f'config {args.config!r} cannot be read: {error}') from error
    if args.stimulate is not None:
        _stimulate(cfg, args.stimulate)
    if args.mini:
        apply_mini(cfg, args.data_root)
        if scratch:
            set_weights(cfg, 'none')
    elif args.data_root is not None:
        set_data_root(cfg, args.data_root)
    if args.cfg_options is not None:
        try:
            cfg.merge_from_dict(args.cfg_options)
        except (KeyError, TypeError) as error:
            raise ValueError(f'--cfg-options do not fit the config: {error.args[0]}') from error
    return cfg


def set_defaults(cfg: Config, args: argparse.Namespace, work_dir: str | None) -> Config:
    """Sets the work dir and what the config's library sets itself, in place.

    With ``--stimulate`` the folder has another name than that of a plain run.
    """
    name = Path(args.config)
    set_work_dir(cfg, work_dir, args.config if args.stimulate is None else f'{name.stem}_st.py')
    # Commands without these two options look at few batches, in a process that goes on.
    return apply_library_defaults(
        cfg,
        pin_memory=not getattr(args, 'no_pin_memory', False),
        persistent_workers=not getattr(args, 'no_persistent_workers', True),
    )


def _stimulate(cfg: Config, settings: Mapping[str, Any]) -> None:
    """Applies ``--stimulate``. Keys may have dots: ``loss.type=mmst.KLMinusLoss``."""
    options = Config()
    options.merge_from_dict(settings)
    stimulate(cfg, **options._cfg_dict)


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Applies ``--show`` and its companion options, in place."""
    if args.show or args.show_dir:
        set_visualization(
            cfg,
            show=args.show,
            show_dir=args.show_dir,
            wait_time=args.wait_time,
            interval=args.interval,
        )
