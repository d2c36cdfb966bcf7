"""Evaluates a checkpoint, or a subnet of it, with any config that tools/train.py takes.

python tools/test.py configs/faster_rcnn_r50_st.py work_dirs/faster_rcnn_r50_st/epoch_12.pth
python tools/test.py configs/faster_rcnn_r50_st.py CHECKPOINT --depths 2,3,4,2
"""

from mmst.cli.test import main

if __name__ == '__main__':
    main()
