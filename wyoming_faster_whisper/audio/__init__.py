"""Audio: converts PCM of any format to 16 kHz mono samples."""
