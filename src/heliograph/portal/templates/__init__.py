"""Templates: what Meta lets one say to people who have not written, with its status, a preview, and new ones."""
