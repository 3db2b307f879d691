"""Questions to vars.h5 and obs.duckdb, answered in a process that may be ended."""
