"""Configuration: the options of the server, and where their values come from."""
