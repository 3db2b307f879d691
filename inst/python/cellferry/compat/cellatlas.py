"""Drop-in functions of the Cell Atlas tutorial: a script changes only its import line.

::

    from cellferry.compat.cellatlas import annotate, annotate_adata, annotate_large

Set ``API_URL`` and ``API_KEY`` of this module, or the environment variables
``CELLATLAS_API_URL`` and ``CELLATLAS_API_KEY``. Calling a function with the address of a
remote service is the consent to send it the matrix. Requests are sent again after what
passes; errors are of :mod:`cellferry.errors`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

from ..engines.cellatlas.options import ADDRESS_VARIABLE, HOSTED, KEY_VARIABLE
from ..engines.service.addresses import check_address, is_loopback
from ..engines.service.secrets import Secret, find_secret

if TYPE_CHECKING:
    import anndata
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csc_array, csc_matrix, csr_array, csr_matrix

    from ..engines.cellatlas.payload import Chunk
    from ..files import Json
    from ..runs.run import Run
    from ..runs.worker import Events

    Matrix: TypeAlias = (
        csr_array | csc_array | csr_matrix | csc_matrix | NDArray[np.number] | list[list[float]]
    )

API_URL = HOSTED
API_KEY = ""
TIMEOUT = 300
CHUNK_BYTES = 24 * 1024**2
"""A chunk of ``annotate_large`` ends here where ``chunk_size`` has not ended it before."""


class Compressed(TypedDict):
    """A matrix of cells x genes, compressed by cell."""

    indptr: list[int]
    indices: list[int]
    data: list[float]
    shape: list[int]


class Payload(TypedDict):
    """The part of a request that is about the cells."""

    genes: list[str]
    matrix: Compressed


def sparse_to_payload(X: Matrix, genes: Iterable[object]) -> Payload:  # noqa: N803
    """Return a cells x genes matrix as the service's ``genes`` and ``matrix``.

    Parameters
    ----------
    X
        SciPy sparse matrix, or anything a CSR matrix can be made of.
    genes
        Names of its columns, in their order.

    Raises
    ------
    ValueError
        There are more or fewer names than columns.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> sparse_to_payload(csr_matrix([[0, 2]]), ["CD3E", "CD19"])["matrix"]["indices"]
    [1]
    """
    matrix = _csr(X)
    names = _names(matrix, genes)
    return {
        "genes": names,
        "matrix": {
            "indptr": matrix.indptr.tolist(),
            "indices": matrix.indices.tolist(),
            "data": matrix.data.tolist(),
            "shape": list(matrix.shape),
        },
    }


def annotate(
    X: Matrix,  # noqa: N803
    genes: Iterable[object],
    model: str = "geneformer",
    atlas: str = "human-core-2026",
) -> dict[str, Any]:
    """Annotate cells in one request and return the service's answer.

    ``calls`` has one entry per row with ``label``, ``confidence``, ``alternates`` and
    ``markers``.

    Parameters
    ----------
    X
        Cells x genes, counts or normalized values of 0 or more: SciPy sparse, or anything a CSR
        matrix can be made of.
    genes
        Names of its columns, in their order.
    model, atlas
        Names that the service knows.

    Raises
    ------
    ServiceError
        One class for each kind of failure; see :mod:`cellferry.errors`.
    ValueError
        More than 100,000 cells are too many for a request: use :func:`annotate_large`.
    """
    from ..engines.cellatlas.calls import check_answer, unwrapped
    from ..engines.cellatlas.payload import MOST_CELLS
    from ..engines.service.answers import object_of
    from ..engines.service.client import Reply, Service

    matrix = _csr(X)
    names = _names(matrix, genes)
    if matrix.shape[0] > MOST_CELLS:
        message = f"{matrix.shape[0]} cells are more than {MOST_CELLS}: use annotate_large()."
        raise ValueError(message)
    whole = next(_encoded(matrix, names, (model, atlas), (matrix.shape[0], 2**62)), None)
    body = whole.body if whole is not None else _empty(names, model, atlas)

    def read(reply: Reply) -> dict[str, Any]:
        answer = object_of(cast("Json", unwrapped(reply.json())), service.host)
        return {**answer, "calls": check_answer(answer, matrix.shape[0])}

    with Service(_address(), token=_key(), read_seconds=TIMEOUT) as service:
        return service.request(
            "POST", "", content=body, headers={"Content-Type": "application/json"}, read=read,
            paid=True,
        )  # fmt: skip


def annotate_adata(adata: anndata.AnnData, model: str = "geneformer") -> anndata.AnnData:
    """Write ``cell_type`` and ``cell_type_confidence`` into ``adata.obs``, and return adata.

    Columns of these names are replaced, as in the tutorial.

    Parameters
    ----------
    adata
        ``X`` is sent, at most 100,000 cells; ``var_names`` name its genes. Changed in place.
    model
        Name that the service knows.

    Raises
    ------
    ServiceError, ValueError
        As in :func:`annotate`; ``adata`` is then as it was.
    """
    from ..engines.cellatlas.calls import confidence_of

    result = annotate(adata.X, adata.var_names, model=model)
    calls = result["calls"]
    adata.obs["cell_type"] = [c.get("label") for c in calls]
    adata.obs["cell_type_confidence"] = [confidence_of(c) for c in calls]
    return adata


def annotate_large(
    X: Matrix,  # noqa: N803
    genes: Iterable[object],
    chunk_size: int = 50_000,
    *,
    resume: str | None = None,
) -> list[dict[str, Any]]:
    """Annotate any number of cells in chunks and return the calls in the order of the rows.

    Each answered chunk is kept in a run. When something stops it, the error names the run in
    ``error.data["run"]``; with ``resume`` only the chunks that are missing are sent.

    Parameters
    ----------
    X
        Cells x genes, as in :func:`annotate`.
    genes
        Names of its columns, in their order.
    chunk_size
        Most cells of a request.
    resume
        Id of a run of the same matrix.

    Raises
    ------
    ServiceError
        One class for each kind of failure; see :mod:`cellferry.errors`.
    RunNotFoundError
        There is no run of the id ``resume``.
    ValueError
        There are more or fewer names than columns.
    """
    from ..errors import CellferryError
    from ..runs.lock import held
    from ..runs.run import Run
    from ..runs.worker import run_in_worker

    matrix = _csr(X)
    names = _names(matrix, genes)
    run = Run.open(resume) if resume else Run.create("cellatlas", options={"compat": True})
    with held(run.folder) as session:
        run.session = session

        def work(events: Events) -> list[dict[str, Any]]:
            with session.working():
                return _sent(matrix, names, chunk_size, run, events)

        run.mend()
        try:
            calls = run_in_worker(work)
        except CellferryError as error:
            error.data.setdefault("run", run.id)
            with suppress(CellferryError):
                run.update(status="failed", error=error.to_dict())
            raise
        except KeyboardInterrupt:
            with suppress(CellferryError):
                run.update(status="interrupted")
            raise
        run.update(status="finished", error=None)
    return calls


def _sent(
    matrix: Any, names: list[str], chunk_size: int, run: Run, events: Events
) -> list[dict[str, Any]]:
    from ..engines.cellatlas.calls import check_answer
    from ..engines.cellatlas.sending import Sender
    from ..engines.service.client import Service

    chunks = _encoded(matrix, names, ("geneformer", "human-core-2026"), (chunk_size, CHUNK_BYTES))
    with Service(_address(), token=_key(), events=events, read_seconds=TIMEOUT) as service:
        rows = tuple(map(str, range(matrix.shape[0])))
        answered = Sender(service, run, events).send(chunks, rows)
    calls = (check_answer(chunk.answer(), len(chunk.rows)) for chunk in answered)
    return [dict(call) for chunk in calls for call in chunk]


def _encoded(
    matrix: csr_matrix, names: list[str], engine: tuple[str, str], bounds: tuple[int, int]
) -> Iterator[Chunk]:
    from ..engines.cellatlas.payload import MOST_CELLS, Encoder
    from ..study.expression.kinds import look_at_values
    from ..study.expression.matrix import MatrixSource

    model, atlas = engine
    # All of it: what is promised as counts is refused where it has a fraction.
    counts = look_at_values(matrix.data).no_count is None
    encoder = Encoder(
        names, model=model, reference_atlas=atlas, counts=counts,
        chunk_bytes=bounds[1], chunk_cells=min(bounds[0], MOST_CELLS),
    )  # fmt: skip
    return encoder.chunks(MatrixSource(matrix, names))


def _empty(names: list[str], model: str, atlas: str) -> bytes:
    import orjson

    matrix = {"indptr": [0], "indices": [], "data": [], "shape": [0, len(names)]}
    return orjson.dumps(
        {"genes": names, "matrix": matrix, "model": model, "reference_atlas": atlas}
    )


def _csr(X: Matrix) -> csr_matrix:  # noqa: N803
    from scipy.sparse import csr_matrix

    return X if isinstance(X, csr_matrix) else csr_matrix(X)


def _names(matrix: csr_matrix, genes: Iterable[object]) -> list[str]:
    names = [str(g) for g in genes]
    if len(names) != matrix.shape[1]:
        message = f"The matrix has {matrix.shape[1]} columns and {len(names)} gene names are given."
        raise ValueError(message)
    return names


def _address() -> str:
    given = os.environ.get(ADDRESS_VARIABLE) if API_URL == HOSTED else API_URL
    return check_address(given or HOSTED, "API_URL")


def _key() -> Secret | None:
    from urllib.parse import urlsplit

    away = not is_loopback(urlsplit(_address()).hostname)
    needed = "The Cell Atlas service" if away else None
    return find_secret(API_KEY or None, "API_KEY", KEY_VARIABLE, required_for=needed)
