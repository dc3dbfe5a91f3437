"""Benchmarks of this server, alone and compared with the reference server."""
