"""Who may do what: accounts, users, API tokens, senders."""
