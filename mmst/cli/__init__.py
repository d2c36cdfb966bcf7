"""Command lines. Only the scripts in ``tools/`` import them."""
