"""The Wyoming protocol: frames to and from a session."""
