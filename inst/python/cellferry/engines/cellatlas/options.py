"""The options of the Cell Atlas engine: one table of defaults, one check of values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from ...errors import InvalidOptionError
from ...study.options import flag, number, one_of, or_none, text, whole_number
from .payload import MOST_CELLS

HOSTED = "https://scirouter-gateway-production.up.railway.app/v1/singlecell/annotate"
ADDRESS_VARIABLE = "CELLATLAS_API_URL"
KEY_VARIABLE = "CELLATLAS_API_KEY"
VALUES = ("auto", "counts", "normalized")
QC = ("warn", "filter", "off")
DOUBLETS = ("column", "compute")
LEAST_BYTES, MOST_BYTES = 4_096, 256 * 1024**2


@dataclass(frozen=True)
class Options:
    """Everything but the key. Meaning and units: see :class:`CellAtlas`."""

    api_url: str = HOSTED
    model: str = "geneformer"
    reference_atlas: str = "human-core-2026"
    timeout: float = 300
    chunk_size: int = 50_000
    chunk_bytes: int = 24 * 1024**2
    parallel: int = 2
    compress: bool | None = None
    values: str = "auto"
    qc: str = "warn"
    min_counts: int = 200
    max_mitochondrial: float = 0.2
    doublets: str = "column"
    markers_path: str | None = None
    embedding_path: str | None = None

    def describe(self) -> dict[str, object]:
        """Return the options as plain data, from which the same can be made again."""
        return asdict(self)


def checked(options: Options) -> Options:
    """Return the options with their types settled; raises ``InvalidOptionError``."""
    return Options(
        api_url=options.api_url,
        model=text("model", options.model),
        reference_atlas=text("reference_atlas", options.reference_atlas),
        timeout=number("timeout", options.timeout, 0.001, 86_400),
        chunk_size=whole_number("chunk_size", options.chunk_size, 1, MOST_CELLS),
        chunk_bytes=whole_number("chunk_bytes", options.chunk_bytes, LEAST_BYTES, MOST_BYTES),
        parallel=whole_number("parallel", options.parallel, 1, 32),
        compress=or_none(flag, "compress", options.compress),
        values=one_of("values", options.values, VALUES),
        qc=one_of("qc", options.qc, QC),
        min_counts=whole_number("min_counts", options.min_counts, 0, 10**9),
        max_mitochondrial=number("max_mitochondrial", options.max_mitochondrial, 0, 1),
        doublets=one_of("doublets", options.doublets, DOUBLETS),
        markers_path=_path("markers_path", options.markers_path),
        embedding_path=_path("embedding_path", options.embedding_path),
    )


def _path(name: str, given: str | None) -> str | None:
    if given is None:
        return None
    found = text(name, given).strip()
    if not found.startswith("/") or found.startswith("//") or set(found) & set("?#\\ "):
        message = f"`{name}` must be a path of the service that `api_url` names."
        hint = 'It begins with a slash: for example "/v1/singlecell/markers".'
        raise InvalidOptionError(message, hint, option=name)
    return found


def companion_address(options: Options, name: str, last: str) -> str:
    """Return the address of marker export or embedding.

    Parameters
    ----------
    options
        Checked.
    name
        The option that may have its path: ``"markers_path"`` or ``"embedding_path"``.
    last
        What takes the place of ``annotate`` in ``api_url`` where the option says nothing, as on
        ``cellferry serve``.

    Raises
    ------
    InvalidOptionError
        The path is not known: the hosted service has not published its own.

    Examples
    --------
    >>> here = Options(api_url="http://127.0.0.1:8000/v1/singlecell/annotate")
    >>> companion_address(here, "embedding_path", "embed")
    'http://127.0.0.1:8000/v1/singlecell/embed'
    """
    given = getattr(options, name)
    parts = urlsplit(options.api_url)
    if given is not None:
        return f"{parts.scheme}://{parts.netloc}{given}"
    base, _, end = options.api_url.rpartition("/")
    if end != "annotate" or parts.hostname == urlsplit(HOSTED).hostname:
        message = f"It is not known where {parts.hostname} has this: no path of it is public."
        hint = f'Give it: `{name}` = "/...", or use the engine "local".'
        raise InvalidOptionError(message, hint, option=name)
    return f"{base}/{last}"
