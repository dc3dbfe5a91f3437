"""Wyoming transport: listener, connections and framing of the Wyoming protocol."""
