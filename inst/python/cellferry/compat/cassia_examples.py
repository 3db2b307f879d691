"""Example marker tables: well-known markers of six cell types, with made-up statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = ("unprocessed", "processed")

GENES: dict[str, tuple[str, ...]] = {
    "0": ("IL7R", "CD3D", "CD3E", "TRAC", "LTB", "CCR7", "LEF1", "TCF7", "CD27", "MAL"),
    "1": ("CD79A", "MS4A1", "CD79B", "CD19", "BANK1", "TCL1A", "VPREB3", "FCRLA", "CD22", "PAX5"),
    "2": ("LYZ", "S100A8", "S100A9", "CD14", "FCN1", "VCAN", "CST3", "MNDA", "CSF3R", "CLEC7A"),
    "3": ("NKG7", "GNLY", "KLRD1", "PRF1", "GZMB", "KLRF1", "NCR1", "FGFBP2", "SPON2", "XCL2"),
    "4": ("PPBP", "PF4", "GP9", "ITGA2B", "TUBB1", "GNG11", "CLU", "SPARC", "TREML1", "GP1BA"),
    "5": ("FCER1A", "CD1C", "CLEC10A", "CLEC9A", "ENHO", "CD1E", "XCR1", "IRF8", "BATF3", "CD1D"),
}


def example_table(marker_type: str) -> pd.DataFrame:
    """Return one of :data:`EXAMPLES`."""
    import pandas as pd

    if marker_type == "processed":
        lists = [",".join(genes) for genes in GENES.values()]
        return pd.DataFrame({"cluster": list(GENES), "marker_genes": lists})
    rows = [
        {
            "p_val": 10.0 ** -(80 - 5 * rank),
            "avg_log2FC": round(4.0 - 0.3 * rank, 2),
            "pct.1": round(0.95 - 0.05 * rank, 3),
            "pct.2": round(0.05 + 0.01 * rank, 3),
            "p_val_adj": 10.0 ** -(76 - 5 * rank),
            "cluster": cluster,
            "gene": gene,
        }
        for cluster, genes in GENES.items()
        for rank, gene in enumerate(genes)
    ]
    return pd.DataFrame(rows)
