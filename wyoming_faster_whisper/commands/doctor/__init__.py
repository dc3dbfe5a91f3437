"""wyoming-faster-whisper-doctor: looks at the machine, plays Home Assistant, gives advice.

    host, network, synthetic_client ──► facts ──► advice ──► findings ──► report
      look at the world                    pure

Each of them can be read alone; command.py says in which order they come.
"""
