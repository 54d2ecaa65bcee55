"""Commands, as scripts and operators use them."""
