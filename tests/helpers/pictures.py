"""Pictures that tests read back."""

from matplotlib import colors, image


def drawn_cycle_colors(path) -> set[str]:
    """Names the colours of matplotlib's cycle, 'C0' to 'C9', that stand at full strength.

    Without the grey 'C7', which the edges of letters have too.
    """
    pixels = (image.imread(path)[..., :3] * 255).round().astype(int).reshape(-1, 3)
    found = set(map(tuple, pixels.tolist()))
    names = [f'C{number}' for number in range(10) if number != 7]
    return {name for name in names if tuple(round(v * 255) for v in colors.to_rgb(name)) in found}
