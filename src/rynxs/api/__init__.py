"""Manifests: the `rynxs.dev/v1alpha1` objects that people write, and the strict reading of their files."""
