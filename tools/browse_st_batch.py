"""Draws what a subnet sees beside what the main network sees, with the ground truth of both.

python tools/browse_st_batch.py configs/mask_rcnn_r50_st.py --mini
python tools/browse_st_batch.py configs/mask_rcnn_r50_st.py --data-root D --num-batches 8 --seed 1
"""

from mmst.cli.browse_st_batch import main

if __name__ == '__main__':
    main()
