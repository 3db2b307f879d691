"""Which stored annotations this version reads, and what is said of others."""

from __future__ import annotations

from ..errors import AnnotationsFormatError, in_language


def check_schema(found: object, *expected: str) -> None:
    """Raise :class:`AnnotationsFormatError` where annotations have another schema.

    Parameters
    ----------
    found
        What the stored form says it is.
    expected
        The schemas that are read, the newest last.
    """
    if found not in expected:
        newest = expected[-1]
        if is_newer(found, newest):
            from .._version import PROJECT_URL, __version__

            message = (
                f'A newer cellferry than {__version__} wrote these annotations ("{found}"); '
                f'"{newest}" is read here.'
            )
            update = f"Update it: see {PROJECT_URL}"
            hint = in_language(
                python=update,
                r="Update the package, and Python's part of it: InstallBackend()",
                cli=update,
            )
            raise AnnotationsFormatError(message, hint)
        message = f'These annotations have the schema "{found}"; this version reads "{newest}".'
        raise AnnotationsFormatError(message, "Update cellferry, or annotate again.")


def is_newer(found: object, own: str) -> bool:
    """Whether a schema is one that this version does not know yet.

    Examples
    --------
    >>> is_newer("a/3", "a/2"), is_newer("a/1", "a/2"), is_newer("b/3", "a/2")
    (True, False, False)
    """
    name, number = own.rsplit("/", 1)
    kind, _, version = str(found).rpartition("/")
    return kind == name and version.isdecimal() and int(version) > int(number)
