"""Speech-to-text engines, the queue in front of them and the scheduling policy."""
