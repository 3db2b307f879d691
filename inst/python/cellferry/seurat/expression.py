"""Which matrix of an AnnData has counts, normalized and scaled values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import InvalidOptionError, LayerMissingError, listing, nearest
from .matrices import value_kind
from .transfer import Item

if TYPE_CHECKING:
    import anndata

    from .matrices import Matrix

SEURAT_LAYERS = ("counts", "data", "scale.data")


@dataclass
class Expression:
    """Seurat's layers by name (cells x genes), where each came from, and the report."""

    layers: dict[str, Matrix] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)

    def put(self, layer: str, values: Matrix, item: str, kind: str, why: str = "") -> None:
        """Give a layer its values, and report it.

        Parameters
        ----------
        layer
            Name in Seurat.
        values
            Cells x genes.
        item, kind
            Where the values were in the AnnData: its name there, and ``X``, ``raw`` or ``layer``.
        why
            What is lost; empty where nothing is.
        """
        self.layers[layer] = values
        rows, columns = values.shape
        self.items.append(
            Item(item, kind, f"{rows} x {columns}", "coerced" if why else "taken", why)
        )


def expression_of(
    adata: anndata.AnnData,
    *,
    counts: str | None = None,
    data: str | None = None,
    main: str = "data",
) -> Expression:
    """Decide which matrix becomes which layer of the Seurat assay.

    Parameters
    ----------
    adata
        In memory.
    counts, data
        ``"X"``, ``"raw"`` or the name of a layer; None decides by the values: ``layers["counts"]``,
        else ``raw`` or ``X`` with whole numbers are counts; ``X`` without negative values is data,
        and with them it is scaled.
    main
        What ``X`` was in the Seurat object it came from.

    Raises
    ------
    InvalidOptionError
        There is no such matrix.
    LayerMissingError
        There is neither counts nor data.
    """
    found = Expression()
    used: set[str] = set()
    for layer, chosen in (("counts", counts), ("data", data)):
        if chosen is not None:
            kind = chosen if chosen in {"X", "raw"} else "layer"
            found.put(layer, _named(adata, chosen), chosen, kind)
            used.add(chosen)
    # In anndata 0.13 the layer None is X.
    names = [str(n) for n in adata.layers if n is not None]
    for name in names:
        if name in used or name in found.layers:
            continue
        found.put(name, adata.layers[name], name, "layer")
    if adata.X is not None and "X" not in used:
        _place_x(adata, found, main)
    if adata.raw is not None and "raw" not in used:
        _place_raw(adata, found)
    if not {"counts", "data"} & set(found.layers):
        message = "This AnnData has neither counts nor log-normalised values to make an assay of."
        raise LayerMissingError(message, "Name them: counts= and data=, of X, raw or a layer.")
    return found


def _named(adata: anndata.AnnData, name: str) -> Matrix:
    if name == "X" and adata.X is not None:
        main: Matrix = adata.X
        return main
    if name == "raw" and adata.raw is not None:
        return _raw_of(adata)[0]
    if name in adata.layers:
        layer: Matrix = adata.layers[name]
        return layer
    valid = ["X", "raw", *map(str, adata.layers)]
    guess = nearest(name, valid)
    message = f'This AnnData has no matrix "{name}"; valid are {listing(valid)}.'
    raise InvalidOptionError(message, f'Did you mean "{guess}"?' if guess else "")


def _place_x(adata: anndata.AnnData, found: Expression, main: str) -> None:
    kind = value_kind(adata.X)
    if main in {"counts", "scale.data"} or kind in {"normalized", "linear"}:
        target = main
    elif kind == "scaled":
        target = "scale.data"
    elif kind == "counts" and main == "data" and "counts" not in found.layers:
        target = "counts"
    else:
        target = main
    if target in found.layers:
        why = f'Seurat\'s layer "{target}" is taken by another matrix.'
        found.items.append(Item("X", "X", kind, "left", why))
        return
    why = "The values are scaled, not log-normalised." if target == "scale.data" != main else ""
    found.put(target, adata.X, "X", "X", why)


def _place_raw(adata: anndata.AnnData, found: Expression) -> None:
    n_raw = len(adata.raw.var_names)
    kind = value_kind(adata.raw.X)
    target = "counts" if kind == "counts" else "data"
    if target in found.layers or kind == "scaled":
        why = f'Seurat\'s layer "{target}" is taken by another matrix.'
        found.items.append(Item("raw", "raw", f"{n_raw} genes, {kind}", "left", why))
        return
    values, lost = _raw_of(adata)
    found.put(target, values, "raw", "raw", lost)


def _raw_of(adata: anndata.AnnData) -> tuple[Matrix, str]:
    """Return raw for the genes of the AnnData, and what is lost."""
    genes = adata.raw.var_names
    if list(genes) == list(adata.var_names):
        return adata.raw.X, ""
    if not genes.is_unique:
        message = "raw has genes of the same name, so its values cannot be joined to X."
        raise InvalidOptionError(message, "Run adata.raw.var_names_make_unique() on a copy first.")
    rows = genes.get_indexer(adata.var_names)
    if (rows < 0).any():
        message = f"raw lacks {int((rows < 0).sum())} of the genes of X."
        raise InvalidOptionError(message, "Use adata.raw.to_adata(), or delete raw: del adata.raw")
    left = len(genes) - len(rows)
    lost = f"{left} genes of raw are not in X and are left behind." if left else ""
    return adata.raw.X[:, rows], lost
