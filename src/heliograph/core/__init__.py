"""Facts without I/O: phone numbers, statuses, times, identifiers."""
