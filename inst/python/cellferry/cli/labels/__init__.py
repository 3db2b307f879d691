"""Commands about labels that are there: decided about, counted as votes, compared."""
