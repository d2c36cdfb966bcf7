"""Makes a mini data set of drawn objects, in the layout of a real one.

python tools/make_mini_data.py
python tools/make_mini_data.py --layout coco --root data/mini/coco --num-train 400
"""

from mmst.cli.make_mini_data import main

if __name__ == '__main__':
    main()
