"""Callbacks: stored raw and acknowledged, then applied."""
