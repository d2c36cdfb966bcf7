"""One module per task library, imported when a data sample of that library is first seen."""

from mmst.engine.task import register_task_module

register_task_module('mmdet', 'mmst.tasks.detection')
register_task_module('mmpose', 'mmst.tasks.pose')
register_task_module('mmpretrain', 'mmst.tasks.classification')
register_task_module('mmseg', 'mmst.tasks.segmentation')
