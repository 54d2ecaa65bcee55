"""What every channel promises, and each channel's own side of the wire."""
