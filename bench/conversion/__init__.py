"""Weights converted for other engines."""
