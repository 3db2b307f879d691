"""The options of the Cell Atlas engine: one table of defaults, one check of values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...errors import InvalidOptionError, listing
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

    def describe(self) -> dict[str, Any]:
        """Return the options as plain data, from which the same can be made again."""
        return asdict(self)


_WHOLE = {
    "chunk_size": (1, MOST_CELLS), "chunk_bytes": (LEAST_BYTES, MOST_BYTES),
    "parallel": (1, 32), "min_counts": (0, 10**9),
}  # fmt: skip
_NUMBERS = {"timeout": (0.001, 86_400), "max_mitochondrial": (0, 1)}
_CHOICES = {"values": VALUES, "qc": QC}


def checked(options: Options) -> Options:
    """Return the options with their types settled; raises :class:`InvalidOptionError`."""
    changed: dict[str, Any] = {}
    for name, (least, most) in {**_WHOLE, **_NUMBERS}.items():
        value = getattr(options, name)
        whole = name in _WHOLE
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= most or (whole and value % 1 != 0):
            what = "a whole number" if whole else "a number"
            message = f"`{name}` must be {what} from {least:,} to {most:,}, not {value!r}."
            raise InvalidOptionError(message, option=name)
        changed[name] = int(value) if whole else float(value)
    for name, valid in _CHOICES.items():
        if getattr(options, name) not in valid:
            message = f"`{name}` must be one of {listing(valid)}, not {getattr(options, name)!r}."
            raise InvalidOptionError(message, option=name)
    for name in ("model", "reference_atlas"):
        value = getattr(options, name)
        if not isinstance(value, str) or not value:
            raise InvalidOptionError(f"`{name}` must be text.", option=name)  # noqa: EM102
    if options.compress is not None and not isinstance(options.compress, bool):
        message = f"`compress` must be True, False or None, not {options.compress!r}."
        raise InvalidOptionError(message, option="compress")
    return Options(**{**asdict(options), **changed})
