"""Rules for the places of residual blocks in a family of backbones."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import attrgetter

from torch import nn

from .placeholder import Skip
from .stages import Block, Family, has_shortcut, is_additive, residual_stages

__all__ = ['Containers', 'Parts', 'Rule', 'Shortcuts', 'Wrapper']

_INSIDE = 'Those of the network inside.'


@dataclass(frozen=True, kw_only=True)
class Rule(Family):
    """A rule for networks whose blocks all end alike.

    Attributes:
        additive: Whether blocks end with an addition.
        note: See :class:`~mmst.core.stages.Family`.
    """

    additive: bool
    note: str = 'A stage is a stage of the network.'

    def is_additive(self, backbone: nn.Module) -> bool:
        """See :class:`~mmst.core.stages.Family`."""
        return self.additive


@dataclass(frozen=True)
class Containers(Rule):
    """Each stage is a module whose children are the blocks.

    Children of another kind end a stage, and those without shortcut are no blocks: of CSPNeXt's
    last stage nothing can be skipped.

    Attributes:
        path: Dotted name of these modules, with wildcards: ``'stages.*.blocks'``. Several in
            forward order have spaces between them. Empty for the backbone itself.
        kind: Class name of the blocks or of a parent, with wildcards.
        starts: Dotted names of attributes, with spaces between them. A stage begins also at a child
            that has one: its shortcut is no identity.
        num_states: See :class:`~mmst.core.stages.Block`.
    """

    path: str
    kind: str = '*'
    starts: str = ''
    num_states: int = 1

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        stages: list[list[Block]] = []
        for container in _containers(backbone, self.path):
            stages.append([])
            for name, child in container.named_children():
                if not self._is_block(child) or self._starts_stage(child):
                    stages.append([])
                if self._is_block(child) and has_shortcut(child) is not False:
                    stages[-1].append(Block(container, name, self.num_states))
        return [stage for stage in stages if stage]

    def _is_block(self, child: nn.Module) -> bool:
        cls: type = type(child)
        return isinstance(child, Skip) or _is_of_kind(cls, self.kind)

    def _starts_stage(self, child: nn.Module) -> bool:
        if isinstance(child, Skip):
            return False
        return any(attrgetter(name)(child) for name in self.starts.split())


@dataclass(frozen=True)
class Shortcuts(Rule):
    """A stage begins at each inverted residual block without a shortcut.

    The blocks are those modules, however deep, that say whether they have one.
    """

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        stages: list[list[Block]] = []
        for block in _inverted_residuals(backbone):
            if not stages or has_shortcut(block.module) is False:
                stages.append([])
            stages[-1].append(block)
        return stages


@dataclass(frozen=True)
class Wrapper(Family):
    """The stages are those of the network inside, which has a rule of its own.

    Attributes:
        path: Dotted name of the network.
    """

    path: str
    note = _INSIDE

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        return residual_stages(backbone.get_submodule(self.path))

    def is_additive(self, backbone: nn.Module) -> bool:
        """See :class:`~mmst.core.stages.Family`."""
        return is_additive(backbone.get_submodule(self.path))


@dataclass(frozen=True)
class Parts(Family):
    """timm's feature nets: the parts of a network, whose Python modules tell the rule.

    Part ``stages.0`` of the network is the child ``stages_0``.

    Attributes:
        rules: Rules by Python module.
    """

    rules: Mapping[str, Family]
    note = _INSIDE

    def stages(self, backbone: nn.Module) -> Iterable[Iterable[Block]]:
        """See :class:`~mmst.core.stages.Family`."""
        return self._rule(backbone).stages(backbone)

    def is_additive(self, backbone: nn.Module) -> bool:
        """See :class:`~mmst.core.stages.Family`."""
        return self._rule(backbone).is_additive(backbone)

    def _rule(self, net: nn.Module) -> Family:
        if hasattr(net, 'body'):  # a FeatureHookNet may leave the network whole
            return Wrapper('body')
        modules = {type(module).__module__ for module in net.modules()} - {type(net).__module__}
        parts = sorted(name for name in modules if name.startswith('timm.models.'))
        rules = {self.rules.get(name) for name in parts}
        rule = rules.pop() if len(rules) == 1 else None
        if rule is None:
            raise TypeError(
                'the residual stages of a timm model with features_only=True must be known: those '
                f'with parts of {", ".join(self.rules)}; got parts of {", ".join(parts) or "torch"}'
            )
        return rule


@functools.cache
def _is_of_kind(cls: type, kind: str) -> bool:
    """Tells whether the name of a class or of a parent fits a pattern."""
    return any(fnmatchcase(parent.__name__, kind) for parent in cls.__mro__)


def _containers(backbone: nn.Module, paths: str) -> Iterator[nn.Module]:
    if not paths:
        yield backbone
    for path in paths.split():
        found = [backbone]
        for pattern in path.split('.'):
            children = [child for parent in found for child in parent.named_children()]
            found = [child for name, child in children if fnmatchcase(name, pattern)]
        yield from found


def _inverted_residuals(parent: nn.Module) -> Iterator[Block]:
    for name, child in parent.named_children():
        if isinstance(child, Skip) or has_shortcut(child) is not None:
            yield Block(parent, name)
        else:
            yield from _inverted_residuals(child)
