"""Trains any config of mmdet, mmsegmentation, mmpose, mmpretrain or plain mmengine.

python tools/train.py configs/faster_rcnn_r50_st.py --weights st
python tools/train.py configs/faster_rcnn_r50_st.py --mini
tools/dist_train.sh configs/faster_rcnn_r50_st.py 8 --weights st
"""

from mmst.cli.train import main

if __name__ == '__main__':
    main()
