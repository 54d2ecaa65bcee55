"""Tables, SQL by noun, migrations; SQLite and PostgreSQL behind the same functions."""
