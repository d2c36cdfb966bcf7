"""matplotlib, which only those need who draw, in the one style of all figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from mmst.checkpoints.write import write_whole

__all__ = [
    'PAGE_WIDTH',
    'add_legend',
    'curve_style',
    'figure_style',
    'import_pyplot',
    'save_figure',
]

STYLE = Path(__file__).with_name('mmst.mplstyle')

PAGE_WIDTH = 7.0
"""Width in inches of a figure that fills a page between its margins."""

ROW_CHARACTERS = 100
"""The same in characters of a legend."""

HANDLE_CHARACTERS = 8
"""Width of a line and a gap in a legend."""


def import_pyplot(drawing: str) -> Any:
    """Imports matplotlib's pyplot for drawing into files.

    Args:
        drawing: Subject and verb of the message, e.g. ``'loss curves are'``.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            f'{drawing} drawn with matplotlib, which is not installed: pip install matplotlib'
        ) from error
    matplotlib.use('agg')
    from matplotlib import pyplot

    return pyplot


@contextmanager
def figure_style(drawing: str) -> Iterator[Any]:
    """Lets figures be drawn in the style of ``mmst.mplstyle``, whatever the user's own is.

    Args:
        drawing: As in :func:`import_pyplot`.

    Yields:
        matplotlib's pyplot. Draw and save within the context; afterwards all is as before.

    Raises:
        ImportError: matplotlib is not installed.
    """
    pyplot = import_pyplot(drawing)
    with pyplot.style.context(STYLE, after_reset=True):
        yield pyplot


def curve_style(index: int) -> dict[str, Any]:
    """Returns colour, line and marker of a curve, which tell it from others in grey too.

    Args:
        index: Number of the curve; after eight, the styles repeat. ``f'C{index}'`` is its colour.
    """
    from matplotlib import rcParams

    styles = list(rcParams['axes.prop_cycle'])
    return styles[index % len(styles)]


def add_legend(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Puts one legend below all panels, for which the figure grows.

    Args:
        figure: matplotlib's figure, as wide as a page.
        handles: What was drawn.
        labels: The name of each, at least one.
    """
    columns = max(1, min(3, ROW_CHARACTERS // (max(map(len, labels)) + HANDLE_CHARACTERS)))
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(labels) // columns))
    figure.legend(handles, labels, loc='outside lower center', ncols=columns)


def save_figure(figure: Any, path: str | PathLike[str]) -> None:
    """Writes a figure, and beside it the same as SVG; then closes it.

    Each file is written whole or not at all.

    Args:
        figure: matplotlib's figure.
        path: File to write; its suffix names the format.
    """
    path = Path(path)
    for file in dict.fromkeys((path, path.with_suffix('.svg'))):
        write_whole(file, partial(_write, figure))
    import_pyplot('figures are').close(figure)


def _write(figure: Any, file: Path) -> None:
    """Writes one file; without a date, so that the same figure is the same file."""
    figure.savefig(file, metadata={'Date': None} if file.suffix == '.svg' else None)
