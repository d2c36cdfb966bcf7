"""Prints the tables of the backbones whose blocks can be skipped, and of the refused ones.

python tools/list_backbones.py                             # prints them
python tools/list_backbones.py --write docs/backbones.md   # puts them there
python tools/list_backbones.py --zoo                       # counts the configs that have known ones
"""

from mmst.cli.list_backbones import main

if __name__ == '__main__':
    main()
