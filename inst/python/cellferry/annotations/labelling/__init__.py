"""The labels of the cells of an object: which are in force, and what is written after a change.

Everything that writes labels of cells comes by here, for an AnnData and, by the bridge, for objects
of R: an answer of an engine, with the decisions that still hold, and decisions themselves.
"""
