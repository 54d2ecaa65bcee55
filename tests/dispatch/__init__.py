"""The dispatcher on a real store, with a carrier that only keeps what it took."""
