"""One module per change, named by its number and what it brings."""
