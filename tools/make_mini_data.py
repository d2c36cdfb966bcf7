"""Makes a mini data set of drawn objects, in the layout of a real one.

python tools/make_mini_data.py
python tools/make_mini_data.py --layout coco --root data/mini/coco --num-train 400
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

try:
    from mmst.mini import LAYOUTS, make_mini_data
except ImportError as error:
    sys.exit(f'{type(error).__name__}: {error}')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--layout', default='coco', choices=sorted(LAYOUTS))
    parser.add_argument('--root', type=Path, help='default: data/mini/LAYOUT')
    parser.add_argument(
        '--num-train',
        type=int,
        default=argparse.SUPPRESS,
        metavar='N',
        help='number of training images',
    )
    parser.add_argument(
        '--num-val',
        type=int,
        default=argparse.SUPPRESS,
        metavar='N',
        help='number of validation images',
    )
    parser.add_argument('--seed', type=int, default=argparse.SUPPRESS, metavar='S')
    parser.add_argument('--force', action='store_true', help='make it even if it is there')
    return parser.parse_args()


def main() -> None:
    args = vars(parse_args())
    layout, root = args.pop('layout'), args.pop('root')
    try:
        root = make_mini_data(layout, root or Path('data/mini') / layout, **args)
    except (ValueError, OSError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    print(f'{layout} mini data: {root}')


if __name__ == '__main__':
    main()
