"""Labels of several annotators beside each other: what they agree on, and where they differ."""
