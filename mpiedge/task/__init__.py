"""Examples, losses and metrics."""
