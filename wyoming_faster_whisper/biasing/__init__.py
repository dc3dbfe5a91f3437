"""Contextual biasing: fetches the names of a home and recognises them in speech."""
