"""The person and the account: profile, password, sessions, members."""
