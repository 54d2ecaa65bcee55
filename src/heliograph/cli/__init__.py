"""The back door: every command of heliograph."""
