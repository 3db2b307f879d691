"""What every engine that calls a service shares: the HTTP client, addresses and secrets."""
