"""Drop-in names of the three specified systems."""
