"""The decision for one cluster: which type, how deep, how sure, and what is mixed in."""
