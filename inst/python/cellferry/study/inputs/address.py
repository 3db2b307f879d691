"""An AnnData in zarr at an address: https, s3, and whatever else fsspec reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import CellferryError, InputError, InvalidOptionError
from ..expression.zarr_groups import is_address, opened_group, unreadable
from .zarr_parts import parts_of_group

if TYPE_CHECKING:
    import anndata

    from ..layers import OpenH5ad


@dataclass(frozen=True)
class Address:
    """Where an AnnData in zarr is.

    Attributes
    ----------
    url
        ``https://host/x.zarr``, ``s3://bucket/x.zarr``, ...
    """

    url: str

    def __str__(self) -> str:
        """Return the address."""
        return self.url

    @property
    def name(self) -> str:
        """The last part of it, after which files that are written can be called."""
        return self.url.rstrip("/").rpartition("/")[2]

    def checked(self) -> Address:
        """Return it; raise where it has what no record of a run may have.

        Raises
        ------
        InvalidOptionError
            It has a name with a password, or a query, which may be a signature.
        """
        parts = urlsplit(self.url)
        if parts.username is not None or parts.query or parts.fragment:
            message = "The address has a password, a query or a fragment, and runs remember it."
            hint = (
                "Give it without: credentials of s3:// and gs:// are taken from the environment, "
                "for example AWS_ACCESS_KEY_ID."
            )
            raise InvalidOptionError(message, hint)
        return self


def address_of(data: object) -> Address | None:
    """Return the address that a text is; None of all else.

    Examples
    --------
    >>> address_of("s3://atlas/x.zarr").name, address_of("x.zarr") is None
    ('x.zarr', True)
    """
    if isinstance(data, Address):
        return data
    return Address(data) if isinstance(data, str) and is_address(data) else None


@contextmanager
def opened_address(address: Address, uns: Collection[str] = ()) -> Iterator[OpenH5ad]:
    """Yield the parts of the AnnData at an address, whose matrices stay there.

    Parameters
    ----------
    address
        Where it is.
    uns
        What is read of ``uns``.

    Raises
    ------
    InputError, DependencyError, InvalidOptionError
        It cannot be read, is no AnnData in zarr, or names a secret.
    """
    with opened_group(address.checked().url) as group:
        with _errors_of(address):
            opened = parts_of_group(_anndata_in(group, address), uns)
        yield opened


def read_address(address: Address) -> anndata.AnnData:
    """Read the AnnData at an address whole; raises as :func:`opened_address` does."""
    from anndata.io import read_elem

    with opened_group(address.checked().url) as group, _errors_of(address):
        made: anndata.AnnData = read_elem(_anndata_in(group, address))
        return made


def graph_at(address: Address, name: str) -> Any:
    """Read one matrix of ``obsp``; None where there is none of that name."""
    from anndata.io import read_elem

    with opened_group(address.checked().url) as group, _errors_of(address):
        place = f"obsp/{name}"
        return read_elem(group[place]) if place in group else None


def _anndata_in(group: Any, address: Address) -> Any:
    if group.attrs.get("encoding-type") == "anndata" or ("obs" in group and "var" in group):
        return group
    message = f'The zarr at "{address}" is no AnnData: it has no obs and var.'
    raise InputError(message, "Give the address of the AnnData itself, which may be in it.")


@contextmanager
def _errors_of(address: Address) -> Iterator[None]:
    try:
        yield
    except CellferryError:
        raise
    except Exception as error:
        # What is damaged makes its readers raise anything.
        raise unreadable(address.url, error) from error
