"""Names under which torch's profiler shows the parts of a stimulated iteration."""

from __future__ import annotations

__all__ = ['BACKWARD', 'BATCH', 'FORWARD', 'IMAGES', 'SUBNETS']

SUBNETS = 'mmst.subnets'
"""All that subnets add to a forward of the main network."""
BATCH = 'mmst.subnets.batch'
"""Making the batch of a subnet."""
IMAGES = 'mmst.subnets.batch.images'
"""Resizing its images."""
FORWARD = 'mmst.subnets.forward'
BACKWARD = 'mmst.subnets.backward'
