"""Contextual biasing: the names of a home, and text corrected with them."""
