"""The checkout that mmst stands in: some commands start other scripts of it."""

from __future__ import annotations

from pathlib import Path

__all__ = ['REPO', 'TOOLS']

REPO = Path(__file__).resolve().parents[2]
TOOLS = REPO / 'tools'
