"""Decisions of persons: what one is, whether it holds, and what it puts in force."""
