"""The checkout that contains mmst; some commands start its scripts."""

from __future__ import annotations

from pathlib import Path

__all__ = ['REPO', 'TOOLS']

REPO = Path(__file__).resolve().parents[2]
TOOLS = REPO / 'tools'
