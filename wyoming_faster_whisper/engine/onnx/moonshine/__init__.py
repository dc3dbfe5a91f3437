"""Moonshine: an encoder whose cost follows the length of the audio, and a decoder."""
