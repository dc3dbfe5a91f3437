"""Files: from the bytes of an upload to the body of the answer."""
