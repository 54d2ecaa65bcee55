"""Sends before and while they are stored."""
