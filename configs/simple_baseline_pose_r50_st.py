# SimpleBaseline2D R50 with stimulative training: ST++ Table XIII has no such row.
_base_ = ['./simple_baseline_pose_r50.py', './_base_/stimulative.py']

# Smaller inputs get heatmaps of their own: from keypoints in their pixels, of whole pixels.
model = dict(
    data_preprocessor=dict(pad_size_divisor=32),
    backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 4, 1)))
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_pipeline[:-1],
            dict(type='PackPoseInputs', pack_transformed=True),
        ]))
default_hooks = dict(stimulative={{_base_.st_star_hook}})
