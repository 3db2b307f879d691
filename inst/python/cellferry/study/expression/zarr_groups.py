"""Groups of zarr, in a folder, in a zip, or at an address, opened for reading.

What is at an address is asked for piece by piece, by fsspec, and only what was given is asked:
whoever answers that it is somewhere else is not followed to another host.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import CellferryError, DependencyError, InputError

if TYPE_CHECKING:
    from types import ModuleType

INSTALL = 'pip install "cellferry[remote]"'
PAUSES = (0.2, 1.0, 3.0)
"""Seconds before what failed on the way is asked for again."""
CONNECT_SECONDS = 15
READ_SECONDS = 60
_PLACES = 8
_VALUES = 64
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_STORED = re.compile(r"(X|raw/X|layers/[^/]+)/data/(c/)?\d+")
"""Pieces of values of a sparse matrix. They have values, so one that is not there is lost; of a
dense matrix one that is not there is zeros."""


def is_address(text: str) -> bool:
    """Whether a text is the address of something that is not a path of this machine.

    Examples
    --------
    >>> is_address("s3://bucket/x.zarr"), is_address("C:/x.zarr"), is_address("x.zarr")
    (True, False, False)
    """
    return _ADDRESS.match(text) is not None


@contextmanager
def opened_group(place: str | Path, *, zipped: bool = False) -> Iterator[Any]:
    """Yield a group of zarr, for reading.

    Parameters
    ----------
    place
        A folder, a zip, or an address (``https://...``, ``s3://...``).
    zipped
        Whether it is a zip.

    Raises
    ------
    DependencyError
        A package that is needed is not installed.
    InputError
        Nothing is there, or it cannot be read; later too, for each piece that is asked for.
    """
    if isinstance(place, str) and is_address(place):
        with _opened_address(place) as group:
            yield group
        return
    zarr = _zarr(str(place), "zarr>=2.18")
    store: Any = zarr.storage.ZipStore(place, mode="r") if zipped else place
    try:
        yield zarr.open_group(store, mode="r")
    finally:
        if hasattr(store, "close"):
            store.close()


def _zarr(place: str, wanted: str) -> ModuleType:
    try:
        import zarr
    except ImportError as error:
        message = f'"{place}" is an AnnData in zarr, and the package zarr is not installed.'
        raise DependencyError(message, f'Run: pip install "{wanted}"') from error
    found: ModuleType = zarr
    return found


@contextmanager
def _opened_address(address: str) -> Iterator[Any]:
    zarr = _zarr(address, "cellferry[remote]")
    if not hasattr(zarr.storage, "WrapperStore"):
        message = f'"{address}" is read by zarr 3, and this is zarr {zarr.__version__}.'
        raise DependencyError(message, f"Run: {INSTALL}")
    files, store = _store(address)
    try:
        try:
            group = zarr.open_group(store, mode="r")
        except CellferryError:
            raise
        except FileNotFoundError as error:
            raise _nothing_there(address) from error
        except Exception as error:
            raise unreadable(address, error) from error
        yield group
    finally:
        # What holds the connections: of aiohttp for https:// and gs://, of aiobotocore for s3://.
        client, session = (getattr(files, name, None) for name in ("_s3creator", "_session"))
        with suppress(Exception):
            if client is not None:
                zarr.core.sync.sync(client.__aexit__(None, None, None))
            elif session is not None:
                zarr.core.sync.sync(session.close())


def _nothing_there(address: str) -> InputError:
    message = f'There is no zarr at "{address}".'
    if re.search(r"\.(h5ad|h5|rds|loom|mtx)(\.gz)?$", address):
        message = f'"{address}" is no zarr; of addresses nothing else is read.'
        return InputError(message, "Download the file, and give its path.")
    return InputError(
        message, "Check the address: it is that of the folder that write_zarr() made."
    )


def unreadable(address: str, error: Exception) -> InputError:
    """Return the error for what went wrong while an address was read."""
    status = getattr(error, "status", None)
    reason = f"HTTP {status}" if status else str(error).strip() or type(error).__name__
    message = f'"{address}" cannot be read: {reason.splitlines()[0]}.'
    return InputError(message, "Check the address and the network, and try again.", path=address)


def _store(address: str) -> tuple[Any, Any]:
    """Return the file system of fsspec and the store of an address."""
    from zarr.storage import FsspecStore

    scheme = urlsplit(address).scheme.lower()
    options: dict[str, Any] = {"skip_instance_cache": True}
    try:
        if scheme in {"http", "https"}:
            options["client_kwargs"] = _client(address)
        inner = FsspecStore.from_url(address, storage_options=options, read_only=True)
    except ImportError as error:
        # fsspec says which package reads such addresses.
        first = str(error).splitlines()[0].rstrip(".")
        message = f'"{address}" cannot be read: {first}.'
        package = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
        more = f" {package[scheme]}" if scheme in package else ""
        raise DependencyError(message, f"Run: {INSTALL}{more}") from error
    except ValueError as error:
        message = f'"{address}" is an address of a kind that is not known: {error}.'
        raise InputError(message, "Valid, for example: https://, s3://, gs://.") from error
    made = _careful()(inner)
    made.address = address
    return inner.fs, made


def _client(address: str) -> dict[str, Any]:
    """Return what aiohttp is to do: give up in time, and go to no other host."""
    import aiohttp

    host = urlsplit(address).netloc

    async def redirected(_session: Any, _context: Any, params: Any) -> None:
        target = urlsplit(params.response.headers.get("Location", ""))
        if target.netloc not in {"", host}:
            message = f'"{address}" leads to another host, "{target.hostname}", and is not read.'
            raise InputError(message, "If that is right, give the address there.")

    traced = aiohttp.TraceConfig()
    traced.on_request_redirect.append(redirected)
    timeout = aiohttp.ClientTimeout(None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
    return {"trace_configs": [traced], "timeout": timeout}


@functools.cache
def _careful() -> Any:
    """Return a class of stores that ask again, and say what is wrong."""
    import asyncio

    from zarr.storage import WrapperStore

    class Careful(WrapperStore):  # type: ignore[type-arg]
        """A store at an address; see :func:`opened_group`."""

        address = ""

        def _with_store(self, store: Any) -> Any:
            made = type(self)(store)
            made.address = self.address
            return made

        async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
            """Return the content of a key, or a part of it; None where it is not there."""
            for pause in (*PAUSES, None):
                try:
                    found = await self._store.get(key, prototype, byte_range)
                    break
                except CellferryError:
                    raise
                except Exception as error:
                    if pause is None or not _may_pass(error):
                        part = f"{self.address.rstrip('/')}/{key}"
                        raise unreadable(part, error) from error
                    await asyncio.sleep(pause)
            if found is None and _STORED.fullmatch(key):
                message = f'"{self.address}" lacks a part of its values: "{key}".'
                raise InputError(message, "Copy it again, whole.")
            start: Any = getattr(byte_range, "start", None)
            end: Any = getattr(byte_range, "end", None)
            if found is not None and None not in {start, end} and len(found) != end - start:
                message = f'"{self.address}" is on a server that gives no parts of files.'
                raise InputError(message, "Download it, and give its path.")
            return found

    return Careful


def _may_pass(error: Exception) -> bool:
    """Whether it may help to ask again."""
    status = getattr(error, "status", None)
    if status is not None:
        return bool(status >= 500 or status == 429)
    of_network = type(error).__module__.partition(".")[0] in {"aiohttp", "botocore", "aiobotocore"}
    return of_network or isinstance(error, OSError | TimeoutError)


def place_of_group(item: Any) -> str | None:
    """Return the address or the folder that a group or an array of zarr is in, if it has one."""
    store: Any = getattr(item, "store", None)
    address = getattr(store, "address", None)
    if isinstance(address, str):
        return address
    root = getattr(store, "root", None)
    return str(Path(root).resolve()) if isinstance(root, str | Path) else None


def fingerprint_of_group(item: Any) -> str:
    """Return a hash of the sizes of a matrix in zarr and of values spread over it."""
    digest = hashlib.sha256()
    names = [name for name in ("data", "indices", "indptr") if not hasattr(item, "chunks")]
    for array in [item[name] for name in names] or [item]:
        digest.update(json.dumps([list(array.shape), str(array.dtype)]).encode())
        length = int(array.shape[0])
        for place in (*range(0, length, max(1, length // _PLACES)), max(0, length - _VALUES)):
            digest.update(array[place : place + _VALUES].tobytes())
    return digest.hexdigest()
