"""Speech: voice activity detection, segments and the end of a turn."""
