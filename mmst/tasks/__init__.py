"""One module per task library, imported when a data sample of that library is first seen."""

from mmst.engine.task import register_task_module

register_task_module('mmdet', 'mmst.tasks.detection')
