"""The options of the Cell Atlas engine: one table of defaults, one check of values."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ...study.options import flag, number, one_of, or_none, text, whole_number
from .payload import MOST_CELLS

HOSTED = "https://scirouter-gateway-production.up.railway.app/v1/singlecell/annotate"
ADDRESS_VARIABLE = "CELLATLAS_API_URL"
KEY_VARIABLE = "CELLATLAS_API_KEY"
VALUES = ("auto", "counts", "normalized")
QC = ("warn", "filter", "off")
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
    )
