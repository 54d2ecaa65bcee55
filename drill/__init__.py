"""The drill: three nodes under steady load, broken in every way that the design speaks of, and each message counted."""
