"""Marker tables: any known format in, one full table out, and the choice of genes."""
