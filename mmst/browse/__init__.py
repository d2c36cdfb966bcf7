"""Pictures of what subnets see."""
