"""matplotlib, which only those need who draw."""

from typing import Any

__all__ = ['import_pyplot']


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
