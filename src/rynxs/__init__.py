"""Computers for AI agents: every action decided by policy, and recorded in a tamper-evident log."""

__version__ = "0.1.0"
