"""HTTP transport: web page and its WebSocket, health and metrics. Needs the extra `http`."""
