"""Prints the tables of the backbones whose blocks can be skipped and of those that are refused.

python tools/list_backbones.py                             # prints them
python tools/list_backbones.py --write docs/backbones.md   # puts them there
python tools/list_backbones.py --zoo                       # counts the configs that have known ones
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmst.cli.backbone_table import backbone_table, refusal_table, replace_tables
from mmst.cli.zoo import ZOO_LIBRARIES, count_zoo, zoo_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--write', type=Path, metavar='PAGE', help='page whose tables are replaced')
    parser.add_argument(
        '--zoo',
        nargs='*',
        choices=ZOO_LIBRARIES,
        metavar='LIBRARY',
        help='counts the configs that these libraries, by default all, ship; takes some minutes',
    )
    args = parser.parse_args()
    if args.zoo is not None:
        print(zoo_table([count_zoo(library) for library in args.zoo or ZOO_LIBRARIES]))
    elif args.write is None:
        print(backbone_table(), refusal_table(), sep='\n\n')
    else:
        args.write.write_text(replace_tables(args.write.read_text()))


if __name__ == '__main__':
    main()
