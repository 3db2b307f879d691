"""The Cell Atlas request answered by the embedded engine: JSON in, JSON out, offline.

``cellferry serve`` answers ``POST /v1/singlecell/annotate`` with :func:`answer_request`. It
knows nothing of HTTP; what is wrong with a request is an :class:`InvalidOptionError`. A
parsed request is about five times its text, so that a server bounds the text and works on
one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn, TypeVar

import numpy as np

from ...._version import __version__
from ....errors import InvalidObjectError, InvalidOptionError
from ....study.expression.kinds import NOT_LOGGED, look_at_values
from ....study.symbols import symbols_of
from ..knowledge.packaged import packaged_knowledge
from .answer import CellScorer, best_species

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from ....annotations.cells import CellAnnotations
    from ....files import Json

_Number = TypeVar("_Number", np.int64, np.float32)

MOST_CELLS = 100_000
_LARGEST = 2**31 - 1

_latest: dict[tuple[int, bool], tuple[tuple[str, ...], CellScorer]] = {}
_lock = threading.Lock()


def answer_request(body: bytes | bytearray) -> bytes:
    """Return the answer to one request, as JSON.

    Each call has ``label``, ``confidence`` (0 for Unknown), ``alternates`` and ``markers``.
    ``model`` and ``reference_atlas`` are accepted and change nothing: the answer says that
    the embedded engine gave it.

    Raises
    ------
    InvalidOptionError
        The body is not a request as specified; the message says where.

    Examples
    --------
    >>> body = (b'{"genes":["CD79A","MS4A1","CD79B"],'
    ...         b'"matrix":{"indptr":[0,3],"indices":[0,1,2],"data":[5,4,3],"shape":[1,3]}}')
    >>> b'"label":"B' in answer_request(body)
    True
    """
    import orjson

    found, species = calls_of(*read_request(body))
    engine = {"name": "cellferry local", "version": __version__, "species": species}
    return orjson.dumps({"calls": _calls(found), "engine": engine})


def calls_of(genes: tuple[str, ...], matrix: csr_matrix) -> tuple[CellAnnotations, str]:
    """Return the answer to the cells of a request, and of which species its genes are."""
    counts = look_at_values(matrix.data).kind in NOT_LOGGED
    scorer, species = _scorer(genes, counts=counts)
    names = tuple(map(str, range(matrix.shape[0])))
    try:
        choices = [choice for _, choice in scorer.choices([(0, matrix)])]
    except InvalidObjectError as error:
        refuse(error.message, error)
    return scorer.answer(names, choices, {}), species


def read_request(body: bytes | bytearray) -> tuple[tuple[str, ...], csr_matrix]:
    """Return the genes and the matrix of a request; raises :class:`InvalidOptionError`."""
    return matrix_of(parsed(body))


def parsed(body: bytes | bytearray) -> dict[str, Json]:
    """Return the JSON of a request; raises :class:`InvalidOptionError`."""
    import orjson

    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        refuse("The body is not valid JSON.", error)
    return sent if isinstance(sent, dict) else {}


def matrix_of(sent: Mapping[str, Json]) -> tuple[tuple[str, ...], csr_matrix]:
    """Return the genes and the matrix of a parsed request, whose lists are given up.

    Raises
    ------
    InvalidOptionError
    """
    from scipy.sparse import csr_matrix

    stored = sent.get("matrix")
    if not isinstance(stored, dict):
        refuse("The body must be an object with `genes` and `matrix`.")
    genes = sent.get("genes")
    if not isinstance(genes, list) or not all(isinstance(g, str) for g in genes):
        refuse("`genes` must be a list of text.")
    if len(set(genes)) != len(genes):
        refuse("`genes` must be unique.")
    for name in ("model", "reference_atlas"):
        if not isinstance(sent.get(name), str | None):
            refuse(f"`{name}` must be text.")
    shape = stored.get("shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(_is_size(x) for x in shape)):
        refuse("`matrix.shape` must be [cells, genes].")
    if shape[0] > MOST_CELLS:
        refuse(f"{shape[0]} cells are more than {MOST_CELLS} per request: send chunks.")
    if shape[1] != len(genes):
        refuse(f"`matrix.shape` says {shape[1]} genes and `genes` has {len(genes)}.")
    # The lists are many times the arrays, so each is given up as soon as it was read.
    indptr = _array(stored, "indptr", np.int64)
    indices = _array(stored, "indices", np.int64)
    data = _array(stored, "data", np.float32)
    fits = (
        len(indptr) == shape[0] + 1
        and indptr[0] == 0
        and bool(np.all(np.diff(indptr) >= 0))
        and indptr[-1] == len(indices) == len(data)
    )
    if not fits:
        refuse("`indptr`, `indices` and `data` do not fit each other and `shape`.")
    if len(indices) and (indices.min() < 0 or indices.max() >= shape[1]):
        refuse(f"`indices` must be from 0 to {shape[1] - 1}.")
    matrix = csr_matrix((data, indices.astype(np.int32), indptr), shape=(shape[0], shape[1]))
    nnz = matrix.nnz
    matrix.sum_duplicates()
    if matrix.nnz != nnz:
        refuse("A row of the matrix has a gene twice.")
    return symbols_of(genes), matrix


def _array(stored: dict[str, Json], name: str, kind: type[_Number]) -> NDArray[_Number]:
    values = stored.pop(name, None)
    whole = issubclass(kind, np.integer)
    allowed = {int} if whole else {int, float}
    try:
        # By exact type: a flag is no number, though NumPy would make one of it.
        right = isinstance(values, list) and set(map(type, values)) <= allowed
        found = np.array(values if right else [], dtype=np.int64 if whole else np.float64)
    except OverflowError:
        right, found = False, np.zeros(0)
    if not right:
        what = "whole numbers" if whole else "numbers"
        refuse(f"`matrix.{name}` must be a list of {what}.")
    if len(found) and not np.all(np.isfinite(found)):
        refuse(f"`matrix.{name}` must have finite numbers.")
    return found.astype(kind, copy=False)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _scorer(genes: tuple[str, ...], *, counts: bool) -> tuple[CellScorer, str]:
    """Return what scores cells of these genes; the latest is kept, as chunks share genes."""
    knowledge = packaged_knowledge()
    species = best_species(knowledge, genes)
    key = (hash(genes), counts)
    with _lock:
        kept = _latest.get(key)
        if kept is None or kept[0] != genes:
            _latest.clear()
            kept = (genes, CellScorer(knowledge, species, genes, counts=counts))
            _latest[key] = kept
    return kept[1], species


def _calls(found: CellAnnotations) -> list[dict[str, object]]:
    columns = zip(
        found.label.values().tolist(),
        np.nan_to_num(found.confidence).tolist(),
        found.alternatives.values(),
        found.supporting.values(),
        strict=True,
    )
    return [
        {"label": label, "confidence": sure, "alternates": others, "markers": markers}
        for label, sure, others, markers in columns
    ]


def refuse(message: str, cause: Exception | None = None) -> NoReturn:
    """Raise the error of a request that is not as specified."""
    hint = "See POST /v1/singlecell/annotate in the documentation."
    raise InvalidOptionError(message, hint) from cause
