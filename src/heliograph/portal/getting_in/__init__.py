"""Opening an account, logging in and out."""
