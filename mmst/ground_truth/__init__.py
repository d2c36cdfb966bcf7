"""Ground truth of a batch, and its resize.

One module per task library, imported when a data sample of that library is first seen.
"""

from .fields import register_ground_truth
from .image_resize import ImageResize
from .task import Task, register_task, register_task_module

__all__ = ['ImageResize', 'Task', 'register_ground_truth', 'register_task']

register_task_module('mmdet', 'mmst.ground_truth.detection')
register_task_module('mmpose', 'mmst.ground_truth.pose')
register_task_module('mmpretrain', 'mmst.ground_truth.classification')
register_task_module('mmseg', 'mmst.ground_truth.segmentation')
