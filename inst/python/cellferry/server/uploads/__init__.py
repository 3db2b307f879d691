"""Uploads: parts, signed addresses, whole files."""
