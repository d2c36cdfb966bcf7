"""The data that figures of matplotlib draw, read from their axes."""

from matplotlib import colors


def labelled(axis) -> dict:
    """Artists of an axis by their label in the legend, in order."""
    handles, labels = axis.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


def points(line) -> list[tuple[float, float]]:
    """Coordinates (x, y) of a line or of markers."""
    return [tuple(point) for point in line.get_xydata().tolist()]


def error_bars(container) -> list[tuple[float, float, float]]:
    """Position, lower and upper end of each vertical error bar."""
    (_, _, (bars,)) = container.lines
    return [(x, low, high) for (x, low), (_, high) in bars.get_segments()]


def color_of(line) -> str:
    """Colour of a line, or of a collection of lines, as '#rrggbb'."""
    color = line.get_color()
    return colors.to_hex(color if isinstance(color, str) else color[0])


def legend_colors(legend) -> dict[str, str]:
    """Colours that a legend shows, by label."""
    texts = [text.get_text() for text in legend.get_texts()]
    return dict(zip(texts, map(color_of, legend.legend_handles), strict=True))
