"""One client's stream and its turns, whichever transport carries it."""
