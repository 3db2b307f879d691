"""Jobs: what was submitted, the queue, the work and its results."""
