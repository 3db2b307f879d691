"""Marker tables that several test files share."""

import pandas as pd

SEURAT = pd.DataFrame(
    {
        "p_val": [0.0, 1e-9, 0.0, 1e-3],
        "avg_log2FC": [3.02, 2.74, 1.89, 1.76],
        "pct.1": [0.973, 0.938, 0.812, 0.756],
        "pct.2": [0.152, 0.125, 0.089, 0.112],
        "p_val_adj": [0.0, 1e-6, 0.0, 1e-2],
        "cluster": [0, 0, 1, 1],
        "gene": ["CD79A", "MS4A1", "IL7R", "CCR7"],
    }
)


def genes(markers, *args, **options):
    """Return cluster -> the genes that are selected."""
    return {k: list(v.genes) for k, v in markers.select(*args, **options).items()}
