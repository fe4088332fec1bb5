"""Bubblewrap sandboxes: computers on one machine, without a cluster."""
