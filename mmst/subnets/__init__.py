"""A subnet of a trained network: evaluated, searched, exported."""
