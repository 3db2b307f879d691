"""Where a payload of ours is not that of the published client, and why; a test proves each.

Everything else in ``input_data`` is equal to what cytetype 0.19.4 sends for the same AnnData.
"""

from __future__ import annotations

DIFFERENCES: dict[str, str] = {
    "client_version": "clientVersion names cellferry and its version, not a release of cytetype.",
    "tissue_and_species": "Tissue and species follow the study context where it does not name "
    "them; there is no place for them in the published client.",
    "raw_is_read": "Where an AnnData has .raw, expression comes from it as the markers do; there "
    "markers of genes that X lacks are dropped.",
    "blank_symbols": "A gene without a symbol keeps its name; there all of them share the key ''.",
    "duplicate_symbols": "Of several genes with one symbol the highest percentage is sent; there "
    "the last one in the table overwrites the others.",
    "duplicate_markers": "A symbol is named once among the markers of a cluster.",
    "scaled_values": "Scaled data (negative values) send no expression; there every value that is "
    "not zero counts as expressed, so that every gene is in about all cells.",
    "unused_categories": "Only clusters that have cells are in clusterMetadata; there unused "
    "categories appear as extra ids.",
    "missing_coordinates": "Cells without finite coordinates are left out; there the request "
    "cannot be sent.",
    "cells_without_cluster": "Cells without a cluster are left out; there they are an error.",
    "metadata_values": "Numbers and flags in `metadata` are sent as text; there they are an error.",
}
