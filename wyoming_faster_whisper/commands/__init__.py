"""The entry points of the commands."""
