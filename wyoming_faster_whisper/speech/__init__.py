"""Speech: voice activity detection, segmentation and endpointing."""
