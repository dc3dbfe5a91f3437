"""Assembly of the server: builds its parts, starts and stops them."""
