"""One contract for every engine of the store: each test here runs on all of them, unchanged."""
