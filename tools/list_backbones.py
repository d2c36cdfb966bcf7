"""Prints the table of the backbones whose blocks can be skipped.

python tools/list_backbones.py                             # prints it
python tools/list_backbones.py --write docs/backbones.md   # puts it there
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmst.analysis.backbones import backbone_table, replace_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--write', type=Path, metavar='PAGE', help='page whose table is replaced')
    args = parser.parse_args()
    if args.write is None:
        print(backbone_table())
    else:
        args.write.write_text(replace_table(args.write.read_text()))


if __name__ == '__main__':
    main()
