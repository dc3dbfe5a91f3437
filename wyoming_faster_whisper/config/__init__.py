"""Configuration: the server's options, and how their values are read and checked."""
