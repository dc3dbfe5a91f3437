"""HTTP: bytes of a browser's to and from a Session. Needs the extra `http`."""
