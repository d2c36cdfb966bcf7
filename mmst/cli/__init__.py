"""Command lines. Nothing but the doors in ``tools/`` imports them."""
