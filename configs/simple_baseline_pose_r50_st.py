# SimpleBaseline2D R50 with stimulative training: ST++ Table XIII has no such row.
_base_ = ['./simple_baseline_pose_r50.py', './_base_/stimulative.py']

model = dict(backbone=dict(type='mmst.STBackbone', wraps='ResNet', choices=(1, 2, 4, 1)))
# Smaller inputs get heatmaps of their own, from keypoints in their pixels.
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_pipeline[:-1],
            dict(type='PackPoseInputs', pack_transformed=True),
        ]))
default_hooks = dict(stimulative={{_base_.st_star_hook}})
