"""The assembly: the parts of the server, from start to stop."""
