"""Annotated parts on their way into the whole: which cells are theirs, and what is written."""
