"""Pictures of the batches that subnets see."""
