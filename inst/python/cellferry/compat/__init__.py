"""Drop-in names of the specified systems: a script changes only its import line."""
