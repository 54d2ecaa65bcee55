"""What tests share: a whole installation of real processes, and makers of accounts."""
