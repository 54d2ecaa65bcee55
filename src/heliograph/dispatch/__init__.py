"""Claim what is due, keep each channel's pace, send, retry."""
