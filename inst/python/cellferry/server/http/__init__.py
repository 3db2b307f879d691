"""The face of the server: addresses, bodies, pages and the description of the API."""
