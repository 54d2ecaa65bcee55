"""Callbacks applied to a real store, without the processes around it."""
