"""Transports: bytes of a client to and from a session."""
