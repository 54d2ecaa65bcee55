"""May this account send this? Store the message, owe it to dispatch."""
