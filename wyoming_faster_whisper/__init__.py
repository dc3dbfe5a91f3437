"""Speech-to-text for the home: Whisper behind the Wyoming protocol."""

__version__ = "4.0.0"
