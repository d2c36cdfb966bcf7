"""``KEY=VALUE`` pairs of a command line."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

__all__ = ['ConfigChanges', 'KeyValues', 'split_label']


class ConfigChanges(DictAction):
    """``KEY=VALUE`` pairs in mmengine's notation, where strings need no quotes.

    What is no pair is most often an argument that must stand before them.

    Attributes:
        remedy: What the message for a value that cannot be read says.
    """

    remedy = "it takes numbers, strings, and lists of them; write a dict's entries as KEY.ENTRY=..."

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Adds pairs to those of earlier options of the same name."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for pair in values or ():
            key, equals, text = pair.partition('=')
            if not equals:
                parser.error(f'{option_string} takes KEY=VALUE, got {pair!r}; put it before')
            try:
                options[key] = self.read(text)
            except (AssertionError, RecursionError):  # brackets without a partner, or of a call
                parser.error(
                    f'{option_string} cannot read the value of {key}={text}; {self.remedy}'
                )
        setattr(namespace, self.dest, options)

    @classmethod
    def read(cls, text: str) -> Any:
        """Reads a value.

        Raises:
            AssertionError: A bracket has no partner.
            RecursionError: It has a call, like ``dict(...)``.
        """
        return cls._parse_iterable(text)


class KeyValues(ConfigChanges):
    """``KEY=VALUE`` pairs in Python's notation, or in mmengine's where they are no Python.

    Python's literals are taken, and calls of ``dict`` with keywords.
    """

    remedy = (
        'it takes Python literals, also dict(key=value) with strings in quotes, e.g. '
        '\'loss=dict(type="mmst.KLMinusLoss")\''
    )

    @classmethod
    def read(cls, text: str) -> Any:
        """See :meth:`ConfigChanges.read`."""
        try:
            return ast.literal_eval(_WithoutCalls().visit(ast.parse(text.strip(), mode='eval')))
        except (SyntaxError, TypeError, ValueError):
            return super().read(text)


class _WithoutCalls(ast.NodeTransformer):
    """Replaces ``dict(key=value)`` by ``{'key': value}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:  # noqa: N802
        """Replaces a call of ``dict`` that has keywords only, and leaves any other as it is."""
        self.generic_visit(node)
        names = [keyword.arg for keyword in node.keywords]
        if not isinstance(node.func, ast.Name) or node.func.id != 'dict' or node.args:
            return node
        if None in names:
            return node
        keys: list[ast.expr | None] = [ast.Constant(name) for name in names]
        return ast.Dict(keys, [keyword.value for keyword in node.keywords])


def split_label(text: str) -> tuple[str, str]:
    """``'name=path'`` -> name, path; a path may have the sign itself, then the name is empty."""
    label, sign, location = text.partition('=')
    return (label, location) if sign and '/' not in label else ('', text)
