"""wyoming-faster-whisper-doctor: examines the machine, acts as Home Assistant, gives advice.

    host, network, synthetic_client ──► facts ──► advice ──► findings ──► report
      collect facts (I/O)                  pure

Each file can be read on its own; command.py runs them in order.
"""
