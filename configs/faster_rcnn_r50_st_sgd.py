# Faster R-CNN R50-FPN with stimulative training (ST*) and SGD: ST++ Table VII with --weights st.
_base_ = './faster_rcnn_r50_st.py'

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4))
