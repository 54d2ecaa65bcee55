"""Every message, outgoing and incoming: the list, one message's whole story, and files of them."""
