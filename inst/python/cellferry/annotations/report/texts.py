"""Values of a report as short texts for people: statistics, times, links, parameters."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import SupportsFloat

_SECRET = re.compile(
    r"(api|access|private|secret).?key|token$|secret|passw|credential|authori[sz]ation|cookie",
    re.IGNORECASE,
)
_USER_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")


def number(value: object) -> str:
    """Return a statistic as text of about three digits; a missing one is a dash.

    Examples
    --------
    >>> number(2.34567), number(1e-45), number(0.95), number(None)
    ('2.35', '1.0e-45', '0.95', '–')
    """
    try:
        real = float(value) if isinstance(value, SupportsFloat) else float(str(value))
    except (TypeError, ValueError):
        return "–" if value is None else str(value)
    if not isfinite(real):
        return "–"
    if real == 0:
        return "0"
    if not 0.001 <= abs(real) < 100_000:
        return f"{real:.1e}"
    return f"{real:.2f}" if 0.01 <= abs(real) < 100 else f"{real:.3g}"


def whole(value: int) -> str:
    """Return an integer with a thin space between thousands.

    Examples
    --------
    >>> whole(12345)
    '12\\u202f345'
    """
    return f"{value:,}".replace(",", "\u202f")


def moment(created: object) -> str | None:
    """Return an ISO 8601 time as text for people, in UTC; other text as it is.

    Examples
    --------
    >>> moment("2025-03-01T12:30:59.1+01:00")
    '2025-03-01 11:30 UTC'
    """
    if not created:
        return None
    try:
        time = datetime.datetime.fromisoformat(str(created))
    except ValueError:
        return str(created)
    if time.tzinfo is None:
        return f"{time:%Y-%m-%d %H:%M}"
    return f"{time.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def ontology_url(identifier: str | None) -> str | None:
    """Return the page of a Cell Ontology term; None for anything else.

    Examples
    --------
    >>> ontology_url("CL:0000236").rpartition("%252F")[2]
    'CL_0000236'
    """
    if identifier is None or not re.fullmatch(r"CL:[0-9]{7}", identifier):
        return None
    # The lookup service wants the term's address encoded twice.
    term = "http%253A%252F%252Fpurl.obolibrary.org%252Fobo%252F" + identifier.replace(":", "_")
    return f"https://www.ebi.ac.uk/ols4/ontologies/cl/classes/{term}"


def web_address(value: object) -> str | None:
    """Return a text that is wholly a web address, safe to become a link; None otherwise.

    Examples
    --------
    >>> web_address("https://example.org/x"), web_address("javascript:alert(1)")
    ('https://example.org/x', None)
    """
    text = str(value).strip()
    if re.fullmatch(r"https?://[^\s/@\\<>\"']+([/?#][^\s\\<>\"']*)?", text, re.ASCII) is None:
        return None
    return text


def parameters(provenance: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and text of everything in a provenance, nested names joined by a dot.

    Nothing in it should be secret; what looks like a secret by its name is not shown.

    Parameters
    ----------
    provenance
        Nested mappings and lists of plain values.
    above
        What the names begin with.

    Examples
    --------
    >>> list(parameters({"options": {"n_genes": 50, "api_key": "s"}}))
    [('options.n_genes', '50'), ('options.api_key', 'not shown')]
    """
    for name, value in provenance.items():
        full = f"{above}{name}"
        if _SECRET.search(str(name)) and value:
            yield full, "not shown"
        elif isinstance(value, Mapping):
            yield from parameters(value, f"{full}.")
        elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
            yield from parameters({str(i): v for i, v in enumerate(value, 1)}, f"{full}.")
        elif value is not None and value not in ("", [], ()):
            yield full, plain_text(value)


def plain_text(value: object) -> str:
    """Return any plain value as text for people; user names in addresses are removed."""
    if isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        text = ", ".join(map(str, value))
    elif isinstance(value, list | tuple | Mapping):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    return _USER_IN_URL.sub("", text)
