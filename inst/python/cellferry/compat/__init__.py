"""Drop-in names of other systems: a script written for one changes only its import line."""
