"""Whisper engine: the pipeline from samples to text."""
