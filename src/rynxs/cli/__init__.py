"""The command line: one module per command group. Imports are late, so that `--help` is fast."""
