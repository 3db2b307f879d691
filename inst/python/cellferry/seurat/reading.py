"""From a Seurat object or a SingleCellExperiment to an AnnData."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..annotations.delivery import STORE
from ..errors import CellsWithoutExpressionWarning, LayerMissingError, counted, listing
from . import matrices
from .columns import frame_from_r, values_from_r
from .session import RObject, call, r_lock
from .transfer import Image, Item, Reduction, log_items, report_frame
from .vectors import is_null, names, parts, text, text_vector, texts
from .views import view

if TYPE_CHECKING:
    import anndata
    import pandas as pd

    from .matrices import Matrix

SOURCE = "seurat"
"""Name under ``uns`` for what AnnData has no place for: identities, keys, R types, the report."""

NO_IDENTITY = "AnnData"
"""Identity of all cells of an object that was made without one."""

SPATIAL = "spatial"
"""Name in ``obsm`` under which tools of Python look for the places of cells."""

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
    places of cells in images    ``obsm["spatial"]``; of several also each by its name
    graphs                       ``obsp``
    ``Misc(x, "cellferry")``     ``uns["cellferry"]``, for ``read_annotations()``
    ===========================  =====================================================

    ``uns["seurat"]`` keeps what :func:`to_seurat` needs to restore the rest, and in ``report``
    a frame of every item that was taken, coerced or left (``item, kind, what, action, why``).
    The feature metadata are the row names of the assay where there are none. Cells that the assay
    does not have, as in a sketch, are left out, with a warning: they were not measured, and a row
    of zeros would say that they were.

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
        self.genes = call("extract_all_genes", self.object, self.assay)
        self.items: list[Item] = []
        self.measure()
        self.kept: dict[str, object] = {"assay": text(self.assay) or ""}

    def measure(self) -> None:
        """Find the cells that are read: those that the assay has."""
        order = names(call("extract_layer_names", self.object, self.assay))
        first = [name for name in ("data", "counts") if name in order]
        order = [*first, *(name for name in order if name not in first)]
        all_cells = call("extract_cells", self.object)
        if text(call("object_kind", self.object)) != "Seurat" or not order:
            # All assays of an experiment have the same cells.
            self.at, self.readable, self.cells = None, set(order), all_cells
            return
        found = parts(call("measured_cells", self.object, self.assay, text_vector(order)))
        self.readable = set(names(found["layers"]))
        self.at = found["cells"] if not is_null(found["cells"]) else None
        self.cells = call("of_measured", all_cells, self.at)
        n, n_all = len(self.cells), len(all_cells)
        if n < n_all:
            absent = f"{n_all - n} of {n_all} cells have no values in the assay"
            why = f'{absent} "{text(self.assay)}" and are left out.'
            self.items.append(Item("cells", "cells", f"{n} names", "coerced", why))
            hint = "To read other cells, choose an assay that has them with assay=."
            warnings.warn(CellsWithoutExpressionWarning(why, hint), stacklevel=4)

    def run(self) -> anndata.AnnData:
        import anndata

        cells, genes = names(self.cells), names(self.genes)
        x, layers = self.expression()
        metadata = call("metadata_of", self.object, self.at)
        obs = frame_from_r(call("extract_metadata_columns", metadata), cells, "obs")
        features = call("extract_feature_metadata", self.object, self.assay, self.genes)
        var = frame_from_r(call("extract_metadata_columns", features), genes, "var")
        self.items += [*obs.items, *var.items]
        self.keep("obs_types", obs.notes)
        self.keep("var_types", var.notes)
        adata = anndata.AnnData(X=x, obs=obs.frame, var=var.frame, layers=layers)
        self.identities(adata)
        self.variable_features(adata)
        self.reductions(adata)
        self.spatial(adata)
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
        if name not in self.readable:
            n = sum(len(parts(part)["cells"]) for part in stored)
            why = f"It has values for {n} of {len(self.cells)} cells, and is not filled with zeros."
            self.items.append(Item(name, "layer", "", "left", why))
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
        found = parts(call("extract_idents", self.object, self.at))
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
        given = set(texts(call("extract_obsm_names", self.object)))
        for name, found in parts(call("extract_reductions", self.object, self.at)).items():
            reduction = parts(found)
            values = matrices.plain_matrix(reduction["values"])
            # A name that an AnnData gave it is its name again.
            key = name if name in given and f"X_{name}" not in given else f"X_{name}"
            adata.obsm[key] = values
            about[key] = {"name": name, "key": text(reduction["key"]) or ""}
            n = int(np.isnan(values).all(axis=1).sum())
            what, why = f"{values.shape[1]} dimensions", _some_are_nan(n)
            self.items.append(Item(name, "reduction", what, "coerced" if n else "taken", why))
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

    def spatial(self, adata: anndata.AnnData) -> None:
        """Put the places of cells into ``obsm``: of one image as "spatial", of several each."""
        about: dict[str, Image] = {}
        images = {
            name: parts(found)
            for name, found in parts(call("extract_spatial", self.object, self.at)).items()
        }
        for name, image in images.items():
            if is_null(image["values"]):
                self.items.append(Item(name, "image", "", "left", "It has no places of cells."))
                continue
            values = matrices.plain_matrix(image["values"])
            alone = len(images) == 1 and SPATIAL not in adata.obsm
            key = SPATIAL if alone else f"{SPATIAL}_{name}"
            adata.obsm[key] = values
            about[key] = _image(name, image)
            n = int(np.isnan(values).all(axis=1).sum())
            left = listing(names(image["left"]))
            lost = f"AnnData has no place for its {left}." if left else ""
            why = " ".join(filter(None, (_some_are_nan(n), lost)))
            action = "coerced" if why else "taken"
            self.items.append(Item(name, "image", f"{len(values) - n} cells", action, why))
        if len(about) > 1 and SPATIAL not in adata.obsm:
            # Tools of Python look for this name; each cell is where the first image has it.
            whole = np.full((adata.n_obs, 2), np.nan)
            for key in about:
                empty = np.isnan(whole).all(axis=1)
                whole[empty] = adata.obsm[key][empty]
            adata.obsm[SPATIAL] = whole
            about[SPATIAL] = {"name": ""}
        self.keep("images", about)

    def graphs(self, adata: anndata.AnnData) -> None:
        for name, found in parts(call("extract_graphs", self.object, self.at)).items():
            graph = matrices.graph_from_r(parts(found)["mat"])
            adata.obsp[name] = graph
            self.items.append(Item(name, "graph", f"{graph.nnz} values", "taken"))

    def annotations(self, adata: anndata.AnnData) -> None:
        stored = parts(call("extract_stored", self.object))
        if stored:
            adata.uns[STORE] = {key: text(json_text) or "" for key, json_text in stored.items()}
            self.items.append(Item("cellferry", "annotations", listing(list(stored)), "taken"))

    def others(self) -> None:
        for kind, found in parts(call("extract_others", self.object, self.assay, self.at)).items():
            for name in texts(found):
                self.items.append(Item(str(name), kind, "", "left", _WHY.get(kind, _NO_PLACE)))


def _some_are_nan(n: int) -> str:
    return f"{counted(n, 'cell')} {'is' if n == 1 else 'are'} not in it and NaN." if n else ""


def _image(name: str, image: Mapping[str, RObject]) -> Image:
    """Return what an AnnData remembers of an image."""
    about: Image = {
        "name": name,
        "key": text(image["key"]) or "",
        "class": text(image["class"]) or "",
    }
    about["assay"] = text(image["assay"]) or ""
    numbers = parts(image["about"])
    for field in ("radius", "nsides", "theta"):
        if field in numbers and not is_null(numbers[field]) and len(numbers[field]):
            about[field] = float(numbers[field][0])
    about["swapped"] = bool("swapped" in numbers and numbers["swapped"][0])
    about["boundary"] = text(image["boundary"]) or "centroids"
    return about


_NO_PLACE = "AnnData has no place for it."
_WHY = {
    "assay": "One assay is read; name it with assay=.",
    "experiment": "One experiment is read.",
    "graph": "It is of other cells.",
}
