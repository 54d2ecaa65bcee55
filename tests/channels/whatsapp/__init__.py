"""The WhatsApp channel against a scripted carrier on real sockets."""
