"""Image transforms of the recipes, registered in mmst's scope."""
