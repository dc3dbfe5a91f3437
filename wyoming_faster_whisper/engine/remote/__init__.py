"""Engines on other servers."""
