"""Decode servers: a model and its queue as a service of a serving framework."""
