"""Count of the configs with a known backbone, among those that the OpenMMLab libraries ship."""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmst.core.stages import is_known
from mmst.core.state import dotted_name

__all__ = ['ZOO_LIBRARIES', 'ZooCount', 'count_configs', 'count_zoo', 'first_backbone', 'zoo_table']

ZOO_LIBRARIES = ('mmdet', 'mmseg', 'mmpose', 'mmpretrain')


@dataclass
class ZooCount:
    """Configs of one library, by their first backbone.

    Attributes:
        library: Package of the library.
        known: Configs of each known class, by dotted name.
        unknown: Configs of each other class, or of a type that is not registered.
        without: Configs with no backbone: data sets, schedules, models of another kind.
        unreadable: Configs that cannot be read, with the reason.
    """

    library: str
    known: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    without: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def configs(self) -> int:
        """Configs with a backbone."""
        return self.known.total() + self.unknown.total()


def count_zoo(library: str) -> ZooCount:
    """Reads every config of a library and looks up the class of its first backbone.

    No model is built.

    Args:
        library: Package of an installed library, one of :data:`ZOO_LIBRARIES`.

    Raises:
        ImportError: The library is not installed.
    """
    spec = importlib.util.find_spec(library)
    if spec is None or spec.origin is None:
        raise ImportError(f'the configs of {library} need {library}, which is not installed')
    for name in filter(importlib.util.find_spec, ZOO_LIBRARIES):  # they use each other's backbones
        importlib.import_module(f'{name}.utils').register_all_modules(init_default_scope=False)
    return count_configs(Path(spec.origin).parent / '.mim' / 'configs', library)


def count_configs(folder: Path, library: str) -> ZooCount:
    """Counts the configs of a folder and of those in it, see :func:`count_zoo`."""
    count = ZooCount(library)
    for path in sorted(folder.rglob('*.py')):
        try:
            cfg = Config.fromfile(path, import_custom_modules=False)
        except Exception as error:  # whatever a config raises
            reason = str(error).strip().partition('\n')[0]
            count.unreadable[str(path.relative_to(folder))] = f'{type(error).__name__}: {reason}'
            continue
        backbone = first_backbone(cfg.get('model'), cfg.get('default_scope') or library)
        if backbone is None:
            count.without += 1
        else:
            cls = _class_of(*backbone)
            name = cls if isinstance(cls, str) else dotted_name(cls)
            (count.unknown if isinstance(cls, str) or not is_known(cls) else count.known)[name] += 1
    return count


def first_backbone(model: Any, scope: str) -> tuple[str | type, str] | None:
    """Finds the first backbone of a model's config.

    Args:
        model: Config of a model.
        scope: Scope in which its types are looked up.

    Returns:
        Type of the backbone and scope in which it is looked up; None if there is none.
    """
    return next(_backbones(model, scope), None)


def zoo_table(counts: list[ZooCount], most: int = 12) -> str:
    """Formats one row per library, the unknown classes by frequency, and what cannot be read."""
    lines = ['| library | configs | known | % | unknown |', '|---|---|---|---|---|']
    notes = []
    for count in counts:
        known, total = count.known.total(), max(count.configs, 1)
        names = ', '.join(
            f'{name.rpartition(".")[2]} {number}'
            for name, number in count.unknown.most_common(most)
        )
        lines.append(
            f'| {count.library} | {count.configs} | {known} | {100 * known / total:.1f} | {names} |'
        )
        notes.append(f'{count.library}: {count.without} configs without a backbone')
        notes += [
            f'{count.library}: cannot read {path}: {why}' for path, why in count.unreadable.items()
        ]
    return '\n'.join([*lines, '', *notes])


def _backbones(node: Any, scope: str) -> Iterator[tuple[str | type, str]]:
    if isinstance(node, dict):
        scope = node.get('_scope_', scope)
        for key, value in node.items():
            if key == 'backbone' and isinstance(value, dict) and 'type' in value:
                yield value['type'], value.get('_scope_', scope)
            else:
                yield from _backbones(value, scope)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _backbones(value, scope)


def _class_of(kind: str | type, scope: str) -> type | str:
    """The class of a type, or its name if nothing is registered under it."""
    if not isinstance(kind, str):
        return kind
    with (
        DefaultScope.overwrite_default_scope(scope),
        MODELS.switch_scope_and_registry(None) as found,
    ):
        return found.get(kind) or kind
