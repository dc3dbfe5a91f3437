"""What benchmarks play: speech, noise and pauses."""
