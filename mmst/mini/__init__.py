"""Small generated data sets of drawn objects, in the layouts of the real ones.

They stand in for the real data where a download is not wanted: demos, tests, a
first look at a config. Drawings (``shapes.py``, ``figure.py``,
``street_shapes.py``, ``emblems.py``) become sprites; ``scene.py`` paints those and
knows what is where; ``objects.py``, ``people.py``, ``street.py`` and
``portraits.py`` compose scenes of them; and each layout module (``coco.py``, ...)
writes scenes the way one real data set is laid out. A new layout is one more writer,
see :mod:`mmst.mini.dataset`.
"""

try:
    import cv2  # noqa: F401
    import numpy  # noqa: F401
except ImportError as error:
    raise ImportError(
        'mmst.mini draws its pictures with NumPy and OpenCV; install them '
        'with: pip install numpy opencv-python-headless'
    ) from error

from .dataset import LAYOUTS, make_mini_data

__all__ = ['LAYOUTS', 'make_mini_data']
