"""Messages as a user of Python, of R or of the command line reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cellferry.errors import Language, language


@contextmanager
def speaking(spoken: Language) -> Iterator[None]:
    """Within it, messages are in the words of this interface."""
    token = language.set(spoken)
    try:
        yield
    finally:
        language.reset(token)
