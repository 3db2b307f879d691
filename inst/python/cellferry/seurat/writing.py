"""From an AnnData to a Seurat object."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations.delivery import STORE
from ..bridge.columns import record_from_series
from ..errors import GroupMissingError, InvalidOptionError, UnsupportedObjectError, listing, nearest
from . import matrices
from .columns import check_names, frame_to_r, record_to_r, seurat_genes
from .expression import expression_of
from .reading import LOADINGS, SOURCE
from .session import RObject, call, r_lock
from .transfer import Image, Item, Reduction, log_items, report_frame
from .vectors import integers, named_list, text_vector
from .views import new_vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    import anndata
    import pandas as pd
    from numpy.typing import NDArray
    from rpy2.robjects.methods import RS4

    from .matrices import Matrix

KEYS = {"pca": "PC_", "umap": "UMAP_", "tsne": "tSNE_"}
ORIGINAL_NAME = "original_name"
"""Column of the feature metadata with the names that Seurat would not take."""


def to_seurat(
    adata: anndata.AnnData,
    *,
    assay: str | None = None,
    counts: str | None = None,
    data: str | None = None,
    ident: str | None = None,
) -> RS4:
    """Convert an AnnData to a Seurat object, of the Seurat that R has.

    Seurat 4 gets an ``Assay``, Seurat 5 an ``Assay5``. The AnnData is not changed. The table of
    :func:`to_anndata` applies in the other direction; beside it, ``obsm`` without ``X_`` keeps its
    name, and values are float64 in R. ``raw`` is counts or data if no layer is.

    Seurat does not take ``_`` and ``|`` in names of genes: they become ``-``, and the feature
    metadata keep the names as ``original_name``. What was coerced or left is in
    ``Misc(x, "anndata")$report``, a data frame with ``item, kind, what, action, why``.

    Parameters
    ----------
    adata
        In memory; cells x genes.
    assay
        Name of the assay; None is the one it came from, else ``RNA``.
    counts, data
        Which matrix it is: ``"X"``, ``"raw"`` or a layer. None decides by names and values.
    ident
        Column of ``obs`` that becomes the active identity; None is what it was in Seurat.

    Returns
    -------
    rpy2.robjects.methods.RS4
        The object; give it to any R function of rpy2.

    Raises
    ------
    InvalidObjectError
        Names are not unique, a matrix is damaged or has 2^31 values or more.
    LayerMissingError, InvalidOptionError, GroupMissingError, UnsupportedObjectError
    EmbeddingError, DependencyError
        R cannot run in this process; see :mod:`cellferry.seurat`.

    Examples
    --------
    >>> import anndata, numpy
    >>> made = to_seurat(anndata.AnnData(numpy.array([[0.0, 1.5], [2.5, 0.0]])))
    >>> list(made.rclass)
    ['Seurat']
    """
    if type(adata).__name__ != "AnnData":
        message = f"`adata` is a {type(adata).__name__}, not an AnnData."
        raise UnsupportedObjectError(message, "Valid: anndata.AnnData, in memory.")
    if adata.isbacked:
        message = "This AnnData is backed by a file, and R needs it in memory."
        raise UnsupportedObjectError(message, "Use to_seurat(adata.to_memory()).")
    with r_lock():
        made = _Writing(adata).run(assay, counts, data, ident)
        from rpy2.robjects.methods import RS4

        return RS4(made)


class _Writing:
    """One conversion: the AnnData, what it remembers of Seurat, and the report."""

    def __init__(self, adata: anndata.AnnData) -> None:
        self.adata = adata
        kept = adata.uns.get(SOURCE, {})
        self.kept: dict[str, str | Sequence[str]] = dict(kept) if hasattr(kept, "items") else {}
        self.items: list[Item] = []

    def run(
        self, assay: str | None, counts: str | None, data: str | None, ident: str | None
    ) -> RObject:
        adata = self.adata
        cells = [str(n) for n in adata.obs_names]
        originals = [str(n) for n in adata.var_names]
        check_names(cells, "cells", "adata.obs_names_make_unique()")
        self.genes = seurat_genes(originals)
        assay = assay or str(self.kept.get("assay") or "") or "RNA"
        if not re.fullmatch(r"[A-Za-z][\w.]*", assay):
            message = f'"{assay}" is not a name of an assay.'
            raise InvalidOptionError(message, "It must start with a letter, for example RNA.")
        main = str(self.kept.get("X", "data"))
        main = {"logcounts": "data", "scaledata": "scale.data"}.get(main, main)
        found = expression_of(adata, counts=counts, data=data, main=main)
        self.items += found.items
        # Before the large vectors are made.
        idents = self.idents(ident)
        metadata = self.metadata()
        features, variable = self.features(originals)
        made = {
            "assay": text_vector([assay]),
            "cells": text_vector(cells),
            "genes": text_vector(self.genes),
            "layers": self.layers(found.layers),
            "metadata": metadata,
            "features": features,
            "variable_features": variable,
            "reductions": self.reductions(),
            "graphs": self.graphs(assay),
            "images": self.images(assay),
            "idents": idents,
        }
        self.others()
        log_items(self.items, "to_seurat()")
        return call("construct_seurat", named_list({**made, "misc": self.misc()}))

    def remembered(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(str(self.kept.get(name, "{}")))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def layers(self, layers: dict[str, Matrix]) -> RObject:
        layered = bool(call("makes_layered")[0])
        made = {}
        for name, values in layers.items():
            if not layered and name not in {"counts", "data", "scale.data"}:
                why = "An assay of Seurat 4 has counts, data and scale.data only."
                self.left(name, "layer", why)
                continue
            if name == "scale.data" and not layered and not isinstance(values, np.ndarray):
                values = values.toarray()  # noqa: PLW2901 - Seurat 4 has no other kind
            made[name] = matrices.transposed_to_r(values, f'The matrix "{name}"')
        return named_list(made)

    def left(self, name: str, kind: str, why: str) -> None:
        """Report something as left, in place of what was said before."""
        self.items = [i for i in self.items if (i.item, i.kind) != (name, kind)]
        self.items.append(Item(name, kind, "", "left", why))

    def idents(self, ident: str | None) -> RObject:
        column = ident or str(self.kept.get("active_ident") or "")
        if column not in self.adata.obs:
            if ident is None:
                return None
            valid = [str(c) for c in self.adata.obs.columns]
            guess = nearest(ident, valid)
            message = f'The obs of this AnnData has no column "{ident}"; it has {listing(valid)}.'
            raise GroupMissingError(message, f'Did you mean "{guess}"?' if guess else "")
        series = self.adata.obs[column]
        if not hasattr(series, "cat"):
            series = series.astype("category")
        record, _ = record_from_series(series)
        return None if record is None else record_to_r("ident", record)

    def metadata(self) -> RObject:
        added = str(self.kept.get("added_ident") or "")
        obs: pd.DataFrame = self.adata.obs
        frame = obs.drop(columns=[added], errors="ignore")
        columns, items = frame_to_r(frame, "obs", self.remembered("obs_types"))
        self.items += items
        return columns

    def features(self, originals: list[str]) -> tuple[RObject, RObject]:
        frame: pd.DataFrame = self.adata.var
        variable = [str(g) for g in self.kept.get("variable_features", ())]
        if "highly_variable" in frame:
            chosen = frame["highly_variable"].fillna(False).astype(bool)
            now = {str(g) for g in frame.index[chosen]}
            if now == set(variable) & set(originals):
                # It came from Seurat and is unchanged, so that it is not a column of its own.
                frame = frame.drop(columns=["highly_variable"])
                variable = [g for g in variable if g in now]
            else:
                variable = [g for g in originals if g in now]
        position = {gene: i for i, gene in enumerate(originals)}
        changed = sum(a != b for a, b in zip(originals, self.genes, strict=True))
        if changed:
            frame = frame.assign(**{ORIGINAL_NAME: np.array(originals, dtype=object)})
            why = f'"_" and "|" become "-"; the names are kept as {ORIGINAL_NAME}.'
            self.items.append(Item("gene names", "var", f"{changed} names", "coerced", why))
        columns, items = frame_to_r(frame, "var", self.remembered("var_types"))
        self.items += items
        return columns, text_vector([self.genes[position[g]] for g in variable if g in position])

    def reductions(self) -> RObject:
        made = []
        about: dict[str, Reduction] = self.remembered("reductions")
        images = self.remembered("images")
        names = {str(k): str(k).removeprefix("X_") for k in self.adata.obsm if k not in images}
        for key, short in names.items():
            values = _numbers(self.adata.obsm[key])
            if values is None:
                self.left(key, "obsm", "It is not a matrix of numbers.")
                continue
            kept = about.get(key, {})
            twice = list(names.values()).count(short) > 1
            name = str(kept.get("name") or (key if twice else short))
            seurat_key = str(kept.get("key") or KEYS.get(name.lower()) or _key(name))
            record = {
                "name": text_vector([name]),
                "key": text_vector([seurat_key]),
                "values": matrices.dense_to_r(values),
                **self.loadings(name, kept),
            }
            made.append(named_list(record))
            self.items.append(Item(key, "obsm", f"{values.shape[1]} dimensions", "taken"))
        return _r_list(made)

    def images(self, assay: str) -> RObject:
        """Make images of the places of cells that came from images."""
        made = []
        about: dict[str, Image] = self.remembered("images")
        for key, image in about.items():
            name = str(image.get("name") or "")
            values = _numbers(self.adata.obsm[key]) if key in self.adata.obsm else None
            if not name or values is None or values.shape[1] != 2:
                continue
            there = np.flatnonzero(~np.isnan(values).any(axis=1))
            xy = values[there][:, ::-1] if image.get("swapped") else values[there]
            record = {
                "name": text_vector([name]),
                "key": text_vector([str(image.get("key") or _key(name))]),
                "assay": text_vector([assay]),
                "boundary": text_vector([str(image.get("boundary") or "centroids")]),
                "cells": text_vector([str(self.adata.obs_names[i]) for i in there]),
                "values": matrices.dense_to_r(np.asfortranarray(xy)),
            }
            for number in ("radius", "nsides", "theta"):
                if number in image:
                    record[number] = new_vector(np.array([image[number]]), "double")
            made.append(named_list(record))
            kind = str(image.get("class") or "FOV")
            why = (
                "" if kind == "FOV" else f"It was a {kind}, and only its places of cells are left."
            )
            action = "coerced" if why else "taken"
            self.items.append(Item(key, "obsm", f"image {name}, {len(there)} cells", action, why))
        return _r_list(made)

    def loadings(self, name: str, kept: Reduction) -> dict[str, RObject]:
        record: dict[str, RObject] = {}
        if "stdev" in kept:
            record["stdev"] = new_vector(np.array(kept["stdev"], dtype="f8"), "double")
        where = str(kept.get("loadings", LOADINGS.get(name, "")))
        values = _numbers(self.adata.varm[where]) if where in self.adata.varm else None
        if values is None:
            return record
        rows = np.flatnonzero(~np.isnan(values).all(axis=1))
        order = [str(g) for g in kept.get("loading_genes", ())]
        if order:
            position = {str(g): i for i, g in enumerate(self.adata.var_names)}
            rows = np.array([position[g] for g in order if g in position], dtype=int)
        record["loadings"] = matrices.dense_to_r(values[rows])
        record["loading_genes"] = text_vector([self.genes[i] for i in rows])
        self.items.append(Item(str(where), "varm", f"{len(rows)} genes", "taken"))
        return record

    def graphs(self, assay: str) -> RObject:
        made = []
        for key in self.adata.obsp:
            values = self.adata.obsp[key]
            if isinstance(values, np.ndarray):
                self.left(str(key), "obsp", "A dense matrix is no graph of Seurat.")
                continue
            graph = matrices.graph_to_r(values, f'The graph "{key}"')
            record = {"name": text_vector([str(key)]), "assay": text_vector([assay]), "mat": graph}
            made.append(named_list(record))
            self.items.append(Item(str(key), "obsp", f"{values.nnz} values", "taken"))
        return _r_list(made)

    def others(self) -> None:
        loaded = {i.item for i in self.items if i.kind == "varm"}
        for kind, found in (("varm", self.adata.varm), ("varp", self.adata.varp)):
            for key in found:
                if key not in loaded:
                    self.left(str(key), kind, "Seurat has no place for it.")
        for key in sorted(set(self.adata.uns) - {STORE, SOURCE}):
            self.left(str(key), "uns", "Seurat has no place for it.")

    def misc(self) -> RObject:
        made: dict[str, RObject] = {}
        stored = self.adata.uns.get(STORE)
        if stored:
            made[STORE] = named_list({str(k): text_vector([str(v)]) for k, v in stored.items()})
        columns, _ = frame_to_r(report_frame(self.items), "report")
        report = call("construct_frame", columns, integers(range(1, len(self.items) + 1)))
        made["anndata"] = named_list({"report": report})
        return named_list(made)


def _key(name: str) -> str:
    letters = re.sub(r"[^A-Za-z0-9]", "", name)
    return f"{letters or 'dim'}_"


def _numbers(values: object) -> NDArray[np.float64] | None:
    """Return 2-D float64 of an embedding, or None where it is not one."""
    import pandas as pd

    if isinstance(values, pd.DataFrame):
        if not all(dtype.kind in "fiub" for dtype in values.dtypes):
            return None
        values = values.to_numpy()
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "fiub":
        return None
    return values.astype("f8", copy=False) if values.shape[1] else None


def _r_list(values: list[RObject]) -> RObject:
    with r_lock() as rinterface:
        return rinterface.ListSexpVector(values)
