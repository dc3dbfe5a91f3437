"""Engines on other servers (upstream servers)."""
