"""Above accounts: the installation's health, its accounts, callbacks with trouble, the audit log."""
