"""Backbone settings in the config text that OpenMMLab's runners save; it is not executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

__all__ = ['backbone_settings']


def backbone_settings(meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns ``model.backbone`` of the config in a checkpoint's ``meta``, None if there is none.

    Args:
        meta: OpenMMLab's ``meta``: ``'cfg'`` (mmengine) or ``'config'`` (mmcv 1) is the text.
    """
    for name in ('cfg', 'config'):
        model = _assigned(meta.get(name), 'model')
        backbone = model.get('backbone') if isinstance(model, Mapping) else None
        if isinstance(backbone, dict):
            return backbone
    return None


def _assigned(text: Any, name: str) -> Any:
    """Value of the last ``name = ...`` of a text."""
    try:
        body = ast.parse(text).body if isinstance(text, str) else []
    except (SyntaxError, ValueError, RecursionError):
        return None
    values = [
        statement.value
        for statement in body
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
    ]
    return _literal(values[-1]) if values else None


def _literal(node: ast.expr | None) -> Any:
    """Value of a literal or of a ``dict(...)`` of them; None for what would have to be run."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        return {keyword.arg: _literal(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {k.value: _literal(v) for k, v in pairs if isinstance(k, ast.Constant)}
    try:
        return None if node is None else ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
