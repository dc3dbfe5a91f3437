"""Whisper: the pipeline from samples to text."""
