"""Heliograph: accept, pace, deliver and track messages."""

__version__ = "0.1.0"
