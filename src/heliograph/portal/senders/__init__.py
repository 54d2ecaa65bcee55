"""Senders: the numbers at the carrier, the names that send through them, and registering one step by step."""
