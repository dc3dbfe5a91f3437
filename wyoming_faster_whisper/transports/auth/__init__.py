"""Authentication: who a client is and what it may do, by its API key or its token."""
