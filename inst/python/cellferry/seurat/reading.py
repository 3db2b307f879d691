"""From a Seurat object or a SingleCellExperiment to an AnnData."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..annotations.delivery import STORE
from ..errors import LayerMissingError, listing
from . import matrices
from .columns import frame_from_r, values_from_r
from .session import RObject, call, r_lock
from .transfer import Item, Reduction, log_items, report_frame
from .vectors import names, parts, text, text_vector, texts
from .views import view

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from .matrices import Matrix

SOURCE = "seurat"
"""Name under ``uns`` for what AnnData has no place for: identities, keys, R types, the report."""

NO_IDENTITY = "AnnData"
"""Identity of all cells of an object that was made without one."""

LOADINGS = {"pca": "PCs"}
"""Reduction -> name of its loadings in ``varm``, as scanpy has it."""


def to_anndata(robj: RObject, *, assay: str | None = None, copy: bool = False) -> anndata.AnnData:
    """Convert a Seurat object (3, 4 or 5) or a SingleCellExperiment of rpy2 to an AnnData.

    Nothing is joined, transposed or densified. A whole ``dgCMatrix`` shares R's memory: treat
    such a matrix as immutable (a write raises), or take ``adata.copy()`` or ``copy=True`` to
    edit. It stays valid after the R object is gone. A split Seurat 5 assay is put together.

    ===========================  =====================================================
    Seurat                       AnnData
    ===========================  =====================================================
    ``data`` (else ``counts``)   ``X``, cells x genes, float64
    ``counts``, other layers     ``layers``
    ``meta.data``                ``obs``: levels, order, NA, dates and types are kept
    active identity              ``obs["ident"]``, or the column with the same values
    feature metadata             ``var``, and ``highly_variable``
    reductions                   ``obsm["X_pca"]``, loadings in ``varm``
    graphs                       ``obsp``
    ``Misc(x, "cellferry")``     ``uns["cellferry"]``, for ``read_annotations()``
    ===========================  =====================================================

    ``uns["seurat"]`` keeps what :func:`to_seurat` needs to restore the rest, and in ``report``
    a frame of every item that was taken, coerced or left (``item, kind, what, action, why``).
    The feature metadata are the row names of the assay where there are none.

    Parameters
    ----------
    robj
        Object of rpy2, of ``robjects`` or ``rinterface``.
    assay
        Assay to read; None is the default assay, in a SingleCellExperiment ``logcounts``.
    copy
        Never share memory with R.

    Raises
    ------
    UnsupportedObjectError, InvalidObjectError, ObjectOutdatedError
        It is none of these classes, contradicts itself, or is of another Seurat.
    LayerMissingError
        The assay has no values.
    EmbeddingError, DependencyError
        R cannot run in this process; see :mod:`cellferry.seurat`.

    Examples
    --------
    >>> import rpy2.robjects as ro
    >>> adata = to_anndata(ro.r("SeuratObject::pbmc_small"))
    >>> adata.shape, adata.obs["groups"].iloc[0]
    ((80, 230), 'g2')
    """
    with r_lock():
        return _Reading(robj, assay, copy=copy).run()


class _Reading:
    """One conversion: the object, where each part goes, and the report."""

    def __init__(self, robj: RObject, assay: str | None, *, copy: bool) -> None:
        self.object = call("check_object", robj)
        self.copy = copy
        self.assay = call("extract_assay", self.object, text_vector([assay]) if assay else None)
        self.cells = call("extract_cells", self.object)
        self.genes = call("extract_all_genes", self.object, self.assay)
        self.items: list[Item] = []
        self.kept: dict[str, object] = {"assay": text(self.assay) or ""}

    def run(self) -> anndata.AnnData:
        import anndata

        cells, genes = names(self.cells), names(self.genes)
        x, layers = self.expression()
        obs = frame_from_r(call("extract_metadata_columns", self.object), cells, "obs")
        features = call("extract_feature_metadata", self.object, self.assay, self.genes)
        var = frame_from_r(call("extract_metadata_columns", features), genes, "var")
        self.items += [*obs.items, *var.items]
        self.keep("obs_types", obs.notes)
        self.keep("var_types", var.notes)
        adata = anndata.AnnData(X=x, obs=obs.frame, var=var.frame, layers=layers)
        self.identities(adata)
        self.variable_features(adata)
        self.reductions(adata)
        self.graphs(adata)
        self.annotations(adata)
        self.others()
        log_items(self.items, "to_anndata()")
        adata.uns[SOURCE] = {**self.kept, "report": report_frame(self.items)}
        return adata

    def keep(self, name: str, value: object) -> None:
        """Remember something under ``uns["seurat"]``, as JSON so that it survives any file."""
        if value:
            self.kept[name] = json.dumps(value)

    def expression(self) -> tuple[Matrix, dict[str, Matrix]]:
        found: dict[str, Matrix] = {}
        experiment = text(call("object_kind", self.object)) != "Seurat"
        main = text(self.assay) or "logcounts" if experiment else "data"
        for name in names(call("extract_layer_names", self.object, self.assay)):
            matrix = self.layer(name, experiment)
            if matrix is not None:
                found[name] = matrix
        if not found:
            message = f'The assay "{text(self.assay)}" has no values.'
            raise LayerMissingError(message, "Choose another one with assay=.")
        main = main if main in found else "counts" if "counts" in found else next(iter(found))
        self.kept["X"] = main
        x = found.pop(main)
        kind = matrices.value_kind(x)
        if main == "data" and kind != "normalized":
            look = "raw" if kind == "counts" else kind
            why = f"The values of data look {look}, not log-normalised."
            self.items = [
                Item(i.item, i.kind, i.what, i.action, why) if i.item == main else i
                for i in self.items
            ]
        return x, found

    def layer(self, name: str, experiment: bool) -> Matrix | None:
        assay = text_vector([name]) if experiment else self.assay
        layer = text_vector(["data" if experiment else name])
        stored = call("layer_parts", self.object, assay, layer)
        if name == "scale.data" and not self.covers(stored):
            n = sum(len(parts(part)["genes"]) for part in stored)
            why = f"It has values for {n} of {len(self.genes)} genes."
            self.items.append(Item(name, "layer", "scaled", "left", why))
            return None
        if not len(stored):
            return None
        made = matrices.matrix_from_parts(stored, self.cells, self.genes, copy=self.copy)
        how = "shared with R" if made.is_shared else "copied"
        if len(stored) > 1:
            how = f"{len(stored)} layers put together"
        what = f"{made.values.shape[0]} x {made.values.shape[1]}, {how}"
        self.items.append(Item(name, "layer", what, "taken"))
        return made.values

    def covers(self, stored: RObject) -> bool:
        """Whether parts have all genes: a gene that is absent would become a scaled zero."""
        return all(len(parts(part)["genes"]) == len(self.genes) for part in stored)

    def identities(self, adata: anndata.AnnData) -> None:
        found = parts(call("extract_idents", self.object))
        if not found:
            return
        column = text(found["column"])
        values = parts(found["values"])
        if column is None:
            if names(values["levels"]) == [NO_IDENTITY]:
                return
            column = "ident"
            while column in adata.obs:
                column = f"seurat_{column}"
            adata.obs[column] = values_from_r("category", values)[0]
            self.kept["added_ident"] = column
        self.kept["active_ident"] = column
        self.items.append(Item(column, "ident", "category", "taken"))

    def variable_features(self, adata: anndata.AnnData) -> None:
        found = names(call("extract_variable_features", self.object, self.assay))
        if not found or "highly_variable" in adata.var:
            return
        rank = {gene: float(i) for i, gene in enumerate(found)}
        ranks = np.array([rank.get(gene, np.nan) for gene in adata.var_names])
        adata.var["highly_variable"] = ~np.isnan(ranks)
        self.kept["variable_features"] = np.array(found, dtype=object)
        self.items.append(Item("variable features", "var", f"{len(found)} genes", "taken"))

    def reductions(self, adata: anndata.AnnData) -> None:
        about: dict[str, Reduction] = {}
        for name, found in parts(call("extract_reductions", self.object)).items():
            reduction = parts(found)
            values = matrices.plain_matrix(reduction["values"])
            key = f"X_{name}"
            adata.obsm[key] = values
            about[key] = {"name": name, "key": text(reduction["key"]) or ""}
            self.items.append(Item(name, "reduction", f"{values.shape[1]} dimensions", "taken"))
            self.loadings(adata, name, reduction, about[key])
        self.keep("reductions", about)

    def loadings(
        self, adata: anndata.AnnData, name: str, reduction: Mapping[str, RObject], about: Reduction
    ) -> None:
        import pandas as pd

        with r_lock() as rinterface:
            null = rinterface.NULL
            if reduction["stdev"] is not null:
                # JSON keeps every digit of a Python float.
                about["stdev"] = [float(v) for v in view(reduction["stdev"])]
            if reduction["loadings"] is null:
                return
            genes = matrices.row_names(reduction["loadings"])
        index: pd.Index = adata.var_names
        rows = index.get_indexer(pd.Index(genes)) if index.is_unique else None
        if rows is None or not len(genes) or (rows < 0).any():
            why = "Its loadings are of genes that the assay does not have."
            self.items.append(Item(name, "loadings", f"{len(genes)} genes", "left", why))
            return
        given = matrices.plain_matrix(reduction["loadings"])
        whole = np.full((adata.n_vars, given.shape[1]), np.nan)
        whole[rows] = given
        where = LOADINGS.get(name, name)
        adata.varm[where] = whole
        about["loadings"] = where
        about["loading_genes"] = genes
        self.items.append(Item(name, "loadings", f"{len(genes)} genes", "taken"))

    def graphs(self, adata: anndata.AnnData) -> None:
        for name, found in parts(call("extract_graphs", self.object)).items():
            graph = matrices.graph_from_r(parts(found)["mat"])
            adata.obsp[name] = graph
            self.items.append(Item(name, "graph", f"{graph.nnz} values", "taken"))

    def annotations(self, adata: anndata.AnnData) -> None:
        stored = parts(call("extract_stored", self.object))
        if stored:
            adata.uns[STORE] = {key: text(json_text) or "" for key, json_text in stored.items()}
            self.items.append(Item("cellferry", "annotations", listing(list(stored)), "taken"))

    def others(self) -> None:
        for kind, found in parts(call("extract_others", self.object, self.assay)).items():
            for name in texts(found):
                self.items.append(Item(str(name), kind, "", "left", _WHY.get(kind, _NO_PLACE)))


_NO_PLACE = "AnnData has no place for it."
_WHY = {
    "assay": "One assay is read; name it with assay=.",
    "experiment": "One experiment is read.",
    "graph": "It is of other cells.",
}
