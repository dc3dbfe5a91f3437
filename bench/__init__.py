"""Measurements of this server, alone and beside the reference server."""
