"""Turning sound into text: the model, the queue before it, the policies around it."""
