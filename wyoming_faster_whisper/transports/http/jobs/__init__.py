"""Background jobs, and webhooks that tell of their end."""
