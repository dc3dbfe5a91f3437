"""The commands people start."""
