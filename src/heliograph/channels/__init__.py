"""Ways out to the carriers, each behind the same contract (contract.py)."""
