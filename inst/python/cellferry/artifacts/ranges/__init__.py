"""Ranges of cells and of genes, worked on by a cluster of dask."""
