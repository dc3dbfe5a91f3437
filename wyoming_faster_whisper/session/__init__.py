"""Sessions: a client's audio stream and its turns, independent of the transport."""
