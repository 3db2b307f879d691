"""What .h5ad files of anndata 0.6 and before, and of SeuratDisk, keep otherwise than today.

Until 0.6 a table was one compound dataset, with codes in it for categories whose texts are in
``uns`` (``louvain_categories``); all embeddings were one compound dataset; ``raw`` was in
``raw.X`` and ``raw.var`` beside X. SeuratDisk leaves out marks by which anndata knows a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

CATEGORIES = "_categories"


def read_table(item: Any, uns: Any) -> pd.DataFrame:
    """Read ``obs``, ``var`` or the ``var`` of ``raw``, however it is kept.

    Parameters
    ----------
    item
        A group or a compound dataset of h5py.
    uns
        The group ``uns``, or an empty mapping.
    """
    import pandas as pd
    from anndata.io import read_elem

    if getattr(item.dtype, "names", None) if hasattr(item, "dtype") else None:
        return _of_compound(item[:], uns)
    found = read_elem(item)
    return found if isinstance(found, pd.DataFrame) else _of_group(item, found)


def _of_compound(values: NDArray[np.void], uns: Any) -> pd.DataFrame:
    import pandas as pd

    names = list(values.dtype.names or ())
    index = next((name for name in ("index", "_index") if name in names), names[0])
    columns: dict[str, Any] = {}
    for name in names:
        if name == index:
            continue
        column = _decoded(values[name])
        if name + CATEGORIES in uns and np.issubdtype(column.dtype, np.integer):
            texts = _decoded(np.atleast_1d(uns[name + CATEGORIES][()]))
            columns[name] = pd.Categorical.from_codes(column, pd.Index(texts))
        else:
            columns[name] = column
    return pd.DataFrame(columns, index=pd.Index(_decoded(values[index]), dtype=object))


def _of_group(item: Any, found: Mapping[str, Any]) -> pd.DataFrame:
    """Return the table of a group that is not marked as one."""
    import pandas as pd

    index = item.attrs.get("_index", "_index")
    index = index.decode() if isinstance(index, bytes) else str(index)
    if index not in found and "index" in found:
        index = "index"
    categories = found.get("__categories", {})
    columns: dict[str, Any] = {}
    for name, values in found.items():
        if name in {index, "__categories"} or isinstance(values, Mapping):
            continue
        if name in categories:
            texts = pd.Index(_decoded(np.atleast_1d(categories[name])))
            columns[name] = pd.Categorical.from_codes(np.asarray(values), texts)
        else:
            columns[name] = _decoded(np.asarray(values))
    return pd.DataFrame(columns, index=pd.Index(_decoded(np.asarray(found[index])), dtype=object))


def read_embeddings(item: Any) -> dict[str, object]:
    """Read ``obsm``: a group, or one compound dataset with a field for each embedding."""
    from anndata.io import read_elem

    if getattr(item, "dtype", None) is not None and item.dtype.names:
        values = item[:]
        return {name: values[name] for name in item.dtype.names}
    return {key: read_elem(value) for key, value in item.items()}


def read_uns(item: Any) -> object:
    """Read one item of ``uns``; a single text was kept as a list of one."""
    from anndata.io import read_elem

    return _unpacked(read_elem(item))


def _unpacked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _unpacked(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.names:
            return _decoded_fields(value)
        if value.dtype.kind in "SOU" and value.shape == (1,):
            text = value[0]
            return text.decode() if isinstance(text, bytes) else text
    return value


def _decoded_fields(value: NDArray[np.void]) -> NDArray[np.void]:
    names = value.dtype.names or ()
    columns = [_decoded(value[name]) for name in names]
    made = np.empty(value.shape, dtype=[(n, c.dtype) for n, c in zip(names, columns, strict=True)])
    for name, column in zip(names, columns, strict=True):
        made[name] = column
    return made


def _decoded(values: Any) -> Any:
    """Return texts for bytes, anything else as it is."""
    if values.dtype.kind == "S" or (values.dtype.kind == "O" and len(values)):
        return np.array(
            [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values],
            dtype=object,
        )
    return values
