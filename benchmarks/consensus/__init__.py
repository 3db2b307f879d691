"""The consensus of a million cells: time and memory, each in a process of its own."""
