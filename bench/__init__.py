"""Measurements, each a ratio to a baseline of the same run: `python -m bench`, or `python -m bench accept`."""
