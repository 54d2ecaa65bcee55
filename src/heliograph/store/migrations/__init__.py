"""Schema changes, in order. Each suits the release before it and the one after: add, fill in batches, then enforce."""
