"""Audio for the benchmarks: speech, noise and pauses."""
