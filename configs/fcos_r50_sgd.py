# FCOS R50-FPN, plain training with SGD: ST++ Table VII.
_base_ = './fcos_r50.py'

optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4))
