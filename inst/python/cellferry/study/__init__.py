"""What an engine reads: cells, clusters, genes, markers, expression. Read-only."""
