"""Coverage-guided fuzzing of what clients send."""
