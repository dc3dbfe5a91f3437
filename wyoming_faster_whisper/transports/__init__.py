"""Transports: they carry bytes between a client and its session."""
