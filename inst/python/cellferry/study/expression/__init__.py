"""Expression: matrices of cells x genes as sources of blocks, and what is learned from them."""
