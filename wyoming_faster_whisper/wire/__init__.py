"""The Wyoming protocol: bytes on one side, a Session on the other."""
