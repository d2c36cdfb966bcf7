"""Prints a config with all that options change, or writes it as one that needs no other file.

python tools/print_config.py configs/faster_rcnn_r50_st.py
python tools/print_config.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py --stimulate -o my.py
"""

from mmst.cli.print_config import main

if __name__ == '__main__':
    main()
