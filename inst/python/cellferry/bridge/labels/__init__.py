"""Labels of an object of R that are decided about, counted as votes, and compared."""
