"""``--stimulate``: any config, trained with subnets."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, DictAction

from mmst.config import stimulate

__all__ = ['add_stimulate', 'apply_stimulate', 'run_name']


class _Options(DictAction):
    """``KEY=VALUE`` pairs; anything else is most often the config, which comes before."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        for value in values or ():
            if '=' not in value:
                parser.error(f'{option_string} takes KEY=VALUE, got {value!r}; put it before')
        super().__call__(parser, namespace, values, option_string)


def add_stimulate(group: argparse._ActionsContainer) -> None:
    """Adds ``--stimulate``."""
    group.add_argument(
        '--stimulate',
        nargs='*',
        action=_Options,
        metavar='KEY=VALUE',
        help='make the config one of stimulative training (mmst.stimulate), e.g. num_subnets=2 '
        'min_ratio=0.5; before all other options',
    )


def apply_stimulate(cfg: Config, args: argparse.Namespace) -> None:
    """Applies ``--stimulate``, in place. Keys may have dots: ``loss.type=mmst.KLMinusLoss``."""
    if args.stimulate is not None:
        options = Config()
        options.merge_from_dict(args.stimulate)
        stimulate(cfg, **options._cfg_dict)


def run_name(args: argparse.Namespace) -> str:
    """What a work dir is named after: the config, so that a plain run of it has another one."""
    return args.config if args.stimulate is None else f'{args.config.removesuffix(".py")}_st.py'
