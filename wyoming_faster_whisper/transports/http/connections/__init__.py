"""HTTP connections: accepting them, their limits, HTTP and WebSocket frames."""
