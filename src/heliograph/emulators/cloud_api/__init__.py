"""A faithful local copy of Meta's WhatsApp Cloud API."""
