"""What a service says of clusters, by their ids: of a record, or of a list of records.

Services differ in what they call a cluster: its id on the wire, or the name that the user gave.
The way back is exact either way; a key that could be two clusters is none.
"""

from __future__ import annotations

from collections.abc import Mapping

KEYS = ("clusterId", "cluster_id", "clusterLabel", "cluster_label", "cluster", "id")
"""Members by which a record of a list says which cluster it is about."""


def record_of(given: object) -> dict[str, object] | None:
    """Return a record, or a list of records as a record by cluster; None where it is neither,
    or where a list says of nothing which cluster it is about.

    An entry that is there twice is kept as a list, which is no answer.

    Examples
    --------
    >>> record_of([{"clusterId": 0, "status": "completed"}])
    {'0': {'clusterId': 0, 'status': 'completed'}}
    """
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    if not isinstance(given, list):
        return None
    found: dict[str, object] = {}
    for entry in given:
        key = _key_of(entry)
        if key is not None:
            found[key] = [found[key], entry] if key in found else entry
    return found or None


def by_id(given: Mapping[str, object], labels: Mapping[str, str]) -> dict[str, object]:
    """Return the entries of a record by the ids of their clusters; others keep their keys.

    Parameters
    ----------
    given
        Keys are ids of clusters, or their names.
    labels
        Id -> name, as they were sent.

    Examples
    --------
    >>> by_id({"T cell": 1, "B cell": 2}, {"0": "B cell", "1": "T cell"})
    {'1': 1, '0': 2}
    """
    ids = {name: own for own, name in labels.items()}
    names_only = [key for key in given if key in ids and key not in labels]
    ids_only = [key for key in given if key in labels and key not in ids]
    if not names_only:
        return dict(given)
    found: dict[str, object] = {}
    for key, value in given.items():
        both = key in ids and key in labels and ids[key] != key
        if both and ids_only:
            # Names and ids side by side: this one may be either.
            continue
        target = ids.get(key, key)
        found[target] = [found[target], value] if target in found else value
    return found


def _key_of(entry: object) -> str | None:
    if not isinstance(entry, Mapping):
        return None
    for name in KEYS:
        value = entry.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value)
    latest = entry.get("latest")
    inner = latest.get("annotation") if isinstance(latest, Mapping) else entry.get("annotation")
    return _key_of(inner) if isinstance(inner, Mapping) else None
