"""Files: what one is by its content, and the AnnData that is in it."""
