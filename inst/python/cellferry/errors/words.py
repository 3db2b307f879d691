"""Words of messages: the name that was meant, and lists of names."""

from __future__ import annotations


def nearest(name: str, valid: list[str] | tuple[str, ...]) -> str | None:
    """Return the valid name that `name` was most likely meant to be, or None.

    Dots, underscores and case do not count, so ``group_by`` finds ``group.by``.

    Examples
    --------
    >>> nearest("group_by", ["group.by", "key"])
    'group.by'
    """
    from difflib import get_close_matches

    def plain(text: str) -> str:
        return text.replace(".", "").replace("_", "").lower()

    by_plain = {plain(v): v for v in valid}
    close = get_close_matches(plain(name), list(by_plain), n=1, cutoff=0.6)
    return by_plain[close[0]] if close else None


def listing(names: list[str] | tuple[str, ...], most: int = 10) -> str:
    """Return names quoted and joined for a message, cut after `most`.

    Examples
    --------
    >>> listing(["a", "b"])
    '"a", "b"'
    """
    shown = ", ".join(f'"{n}"' for n in names[:most])
    rest = len(names) - most
    return f"{shown} and {rest} more" if rest > 0 else shown
