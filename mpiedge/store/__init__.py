"""The activation cache: what the frozen backbone made of each example, on disk."""
