"""A small controller runtime over lightkube; it imports nothing of rynxs."""
