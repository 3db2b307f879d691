"""What can be set on a server, with defaults that are safe on a machine with other users."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..engines.service.addresses import ip_address, is_loopback, origin
from ..errors import InvalidOptionError

MIB = 1024**2
GIB = 1024**3

FILE_KINDS: tuple[str, ...] = ("obs_duckdb", "vars_h5")


@dataclass(frozen=True)
class Settings:
    """The settings of one server.

    Parameters
    ----------
    data
        Folder of all jobs and uploads; made when it does not exist.
    host, port
        Where to listen. Port 0 takes a free one.
    token
        What clients must send as ``Authorization: Bearer``. None: no token is needed,
        which is only possible on loopback.
    allowed_hosts
        Names, beside the address itself, under which browsers may reach the server.
    base_urls
        Origins that the ``baseUrl`` of an LLM config may point to, beside the public ones
        of the known providers; for example ``http://localhost:11434`` for Ollama.
    chunk_bytes, vars_h5_bytes, obs_duckdb_bytes
        Size of an upload's chunks, and the largest file of each kind.
    open_uploads, upload_hours
        How many uploads may be unfinished, and after how many hours one without a job is
        deleted.
    signed_parts, signed_hours, public_url
        Whether chunks go to signed addresses, as object stores give them, instead of carrying
        the token; how long such an address is good; and the origin that they begin with, where
        it is not the one that the client used (behind a proxy that ends TLS).
    trusted_proxies
        Addresses, beside those of this machine, from which ``X-Forwarded-Proto`` is believed.
    keep_days
        After how many days a finished job is deleted; None keeps all.
    body_bytes
        The largest job that is read.
    clusters
        The most clusters of a job.
    concurrent_jobs, waiting_jobs
        How many jobs are worked on, and how many may wait.
    parallel_clusters
        The most clusters of one job at once, whatever the client asks for.
    free_bytes
        What must stay free on the disk.
    idle_seconds
        How long a client may send nothing in mid-request.

    Raises
    ------
    InvalidOptionError
        A value is not valid, or the address is not loopback and there is no token.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    base_urls: tuple[str, ...] = ()
    chunk_bytes: int = 32 * MIB
    vars_h5_bytes: int = 50 * GIB
    obs_duckdb_bytes: int = 2 * GIB
    open_uploads: int = 100
    upload_hours: float = 24
    signed_parts: bool = False
    signed_hours: float = 6
    public_url: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    keep_days: float | None = None
    body_bytes: int = 128 * MIB
    clusters: int = 2000
    concurrent_jobs: int = 2
    waiting_jobs: int = 1000
    parallel_clusters: int = 8
    free_bytes: int = GIB
    idle_seconds: float = 60

    def __post_init__(self) -> None:
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            message = "The token must be printable ASCII text, because it travels in a header."
            raise InvalidOptionError(message, option="token")
        if self.token is not None and (not self.token or " " in self.token):
            message = "The token must not be empty or contain a space."
            raise InvalidOptionError(message, "Leave it out, or choose one.", option="token")
        if not self.is_loopback and self.token is None:
            message = f'Listening on "{self.host}" needs a token: others can reach this address.'
            hint = "Pass --token or set CELLFERRY_SERVE_TOKEN; or listen on 127.0.0.1."
            raise InvalidOptionError(message, hint, option="token")
        if not 0 <= self.port <= 65_535:
            message = f"`port` must be between 0 and 65535, not {self.port}."
            raise InvalidOptionError(message, option="port")
        for name, least in _LEAST.items():
            if getattr(self, name) is not None and not getattr(self, name) >= least:
                message = f"`{name}` must be at least {least}, not {getattr(self, name)}."
                raise InvalidOptionError(message, option=name)
        for url in self.base_urls:
            if origin(url) is None:
                message = f'"{url}" is no origin of a language model.'
                hint = "Valid is for example http://localhost:11434."
                raise InvalidOptionError(message, hint, option="base_urls")
        if self.public_url is not None and origin(self.public_url) != self.public_url:
            message = f'"{self.public_url}" is no origin under which clients reach the server.'
            hint = "Valid is for example https://cells.example.org, without a path."
            raise InvalidOptionError(message, hint, option="public_url")
        for address in self.trusted_proxies:
            if ip_address(address) is None:
                message = f'"{address}" is no address of a proxy.'
                hint = "Valid is for example 10.0.0.5."
                raise InvalidOptionError(message, hint, option="trusted_proxies")
        # R reads the size of a chunk as a 32-bit integer.
        if self.chunk_bytes >= 2**31:
            message = f"`chunk_bytes` must be below 2 GiB, not {self.chunk_bytes}."
            raise InvalidOptionError(message, option="chunk_bytes")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server.

        Examples
        --------
        >>> Settings(Path("x"), host="127.0.0.2").is_loopback
        True
        """
        return is_loopback(self.host)

    def largest(self, kind: str) -> int:
        """Return the largest file of a kind, in bytes."""
        return self.vars_h5_bytes if kind == "vars_h5" else self.obs_duckdb_bytes


_LEAST: dict[str, float] = {
    "chunk_bytes": 1,
    "vars_h5_bytes": 1,
    "obs_duckdb_bytes": 1,
    "open_uploads": 1,
    "upload_hours": 0,
    "signed_hours": 0,
    "keep_days": 0,
    "body_bytes": 1024,
    "clusters": 1,
    "concurrent_jobs": 1,
    "waiting_jobs": 1,
    "parallel_clusters": 1,
    "free_bytes": 0,
    "idle_seconds": 1,
}
