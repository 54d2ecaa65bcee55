"""Who may do what: on a real store of each engine."""
