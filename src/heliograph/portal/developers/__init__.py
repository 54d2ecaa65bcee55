"""Tokens, addresses, snippets: where a developer starts."""
