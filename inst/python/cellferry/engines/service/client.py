"""The HTTP client of the engines that speak to a service.

One :class:`Service` is one address. It gives every request a time-out that fires, sends it
again after anything that passes (connection errors, 408, 425, 429, 5xx) with the pause that
the service asks for, follows no redirect, keeps the token from every other address, and turns
what remains into one classed error. Pauses end at once when the user interrupts.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar, overload
from urllib.parse import urlsplit

from ..._version import __version__
from ...errors import ServiceAnswerError, ServiceError, ServiceTimeoutError, ServiceUnreachableError
from ...files import Json
from . import answers
from .addresses import check_address, is_loopback
from .secrets import Secret, redact

if TYPE_CHECKING:
    import httpx
    import tenacity

    from ...runs.worker import Events

_Read = TypeVar("_Read")
Content = bytes | Callable[[], Iterator[bytes]] | None
"""A body; a function when it is made anew for each attempt."""

CONNECT_SECONDS = 20.0
PIECE = 1 << 18
"""Bytes of a body that are handed to the socket at once."""
LARGEST_ANSWER = 512 * 1024**2
"""A larger answer is refused before it fills the memory."""


@dataclass(frozen=True)
class Retries:
    """How often and how long a request is tried.

    Attributes
    ----------
    attempts
        Requests in all.
    first, longest
        Seconds: the pause after the first failure, doubled each time with full jitter, and
        the longest one.
    patience
        The longest pause that a service may ask for; a longer one is raised to the caller.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 30.0
    patience: float = 120.0


@dataclass(frozen=True)
class Reply:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    response: httpx.Response

    def json(self) -> Json:
        """Return the body as data; raises :class:`ServiceAnswerError`."""
        return answers.json_of(self.response, self.content)


class Service:
    """A client of one address; use it as a context manager. Safe to use from threads.

    Parameters
    ----------
    address
        As :func:`check_address` returns it.
    token
        Sent as ``Authorization: Bearer`` to this address and to no other.
    events
        Where pauses wait, so that an interrupt ends them.
    read_seconds
        Longest silence of the service, and longest time of a whole answer unless a request
        says otherwise.
    retries
        How often requests are sent again.
    """

    def __init__(
        self,
        address: str,
        *,
        token: Secret | None = None,
        events: Events | None = None,
        read_seconds: float = 60.0,
        retries: Retries | None = None,
    ) -> None:
        import httpx

        self.address = check_address(address)
        self.host = str(urlsplit(self.address).hostname)
        self.retries = retries or Retries()
        self._token = token
        self._events = events
        self._read_seconds = read_seconds
        self._client = httpx.Client(
            follow_redirects=False,
            # A proxy from the environment must not see what is meant for this machine.
            trust_env=not is_loopback(self.host),
            verify=trusted(),
            headers={"User-Agent": f"cellferry/{__version__}", "Accept": "application/json"},
            # A connection for each request: on a shared one an answer that a proxy repeats is
            # read as the answer of the next request, and labels would go to the wrong job.
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def get(self, path: str, *, seconds: float | None = None) -> Json:
        """Return the data at a path, tried again until it is whole.

        Parameters
        ----------
        path, seconds
            As for :meth:`request`.

        Raises
        ------
        ServiceError
        """
        return self.request("GET", path, seconds=seconds, read=Reply.json)

    def post(
        self,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        seconds: float | None = None,
    ) -> Json:
        """Send data as JSON and return the data of the answer.

        Parameters
        ----------
        path, seconds
            As for :meth:`request`.
        body
            What can be written as JSON; None sends no body.
        key
            Sent as ``Idempotency-Key``, so that a service that knows it takes a request that
            arrives twice for one.

        Raises
        ------
        ServiceError
        """
        import orjson

        headers = {"Idempotency-Key": key} if key else {}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = orjson.dumps(body)
        return self.request(
            "POST", path, content=content, headers=headers, seconds=seconds, read=Reply.json
        )

    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Reply: ...
    @overload
    def request(
        self,
        method: str,
        path: str,
        *,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        read: Callable[[Reply], _Read],
    ) -> _Read: ...
    def request(
        self,
        method: str,
        path: str,
        *,
        content: Content = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        read: Callable[[Reply], object] = lambda reply: reply,
    ) -> object:
        """Send a request until it succeeds, and return ``read(reply)``.

        Parameters
        ----------
        path
            A path of this service, or a whole URL, which never gets the token.
        content
            The body.
        seconds
            Longest silence and longest time of the whole answer.
        read
            Turns the reply into what is returned; a :class:`ServiceAnswerError` that it
            raises is tried again too.

        Raises
        ------
        ServiceError
            One class for each kind; see :mod:`cellferry.errors`.
        """

        def attempt() -> object:
            body = content() if callable(content) else content
            return read(self._send(method, path, body, dict(headers or {}), seconds))

        return self._retrying()(attempt)

    def _authorised(self, request: httpx.Request) -> httpx.Request:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None,
        headers: dict[str, str],
        seconds: float | None,
    ) -> Reply:
        import httpx

        if isinstance(body, bytes) and len(body) > PIECE:
            # In one piece the socket would copy what is left of it again and again.
            headers["Content-Length"] = str(len(body))
            body = _pieces(body)
        own = not path.startswith(("http://", "https://"))
        url = self.address + path if own else path
        # Put in by the library, so that no frame of ours has it.
        auth = self._authorised if own and self._token is not None else httpx.USE_CLIENT_DEFAULT
        limit = self._read_seconds if seconds is None else seconds
        timeout = httpx.Timeout(limit, connect=min(CONNECT_SECONDS, limit), pool=None)
        host = str(urlsplit(url).hostname)
        deadline = time.monotonic() + limit
        try:
            with self._client.stream(
                method, url, content=body, headers=headers, timeout=timeout, auth=auth
            ) as response:
                whole = self._whole(response, deadline, host)
        except httpx.TimeoutException as error:
            message = f"{host} did not answer in {limit:g} seconds ({_kind(error)})."
            raise _passing(ServiceTimeoutError, message, host) from None
        except httpx.TransportError as error:
            message = f"The connection to {host} failed: {_kind(error)}."
            raise _passing(ServiceUnreachableError, message, host) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"The request to {host} cannot be sent: {_kind(error)}."
            raise ServiceError(message, "Check the address.", host=host) from None
        if not response.is_success:
            raise answers.error_of(response, whole)
        return Reply(response.status_code, response.headers, whole, response)

    def _whole(self, response: httpx.Response, deadline: float, host: str) -> bytes:
        """Read an answer within its time: a server that sends a byte now and then is slow too."""
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            parts.append(part)
            if self._events is not None:
                self._events.check()
            if time.monotonic() > deadline:
                message = f"{host} did not finish its answer in time."
                raise _passing(ServiceTimeoutError, message, host)
            if size > LARGEST_ANSWER:
                message = f"The answer of {host} is larger than {LARGEST_ANSWER} bytes."
                raise ServiceAnswerError(message, "The service speaks another protocol.", host=host)
        return b"".join(parts)

    def _retrying(self) -> tenacity.Retrying:
        import tenacity

        retries = self.retries
        jittered = tenacity.wait_random_exponential(retries.first, retries.longest)

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, ServiceError) else None
            # A little more than asked for, so that many clients do not come back at once.
            return jittered(state) if asked is None else asked * 1.05 + 0.05

        def again(error: BaseException) -> bool:
            if not isinstance(error, ServiceError):
                return False
            if (error.retry_after or 0) > retries.patience:
                return False
            return answers.is_transient(error) or type(error) is ServiceAnswerError

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(retries.attempts),
            wait=pause,
            retry=tenacity.retry_if_exception(again),
            sleep=self._pause,
            reraise=True,
        )

    def _pause(self, seconds: float) -> None:
        if self._events is None:
            time.sleep(seconds)
        else:
            self._events.wait(seconds)


def trusted() -> ssl.SSLContext | bool:
    """Return the certificates to trust: those of ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``, if set.

    They hold for every address. The HTTP libraries read them only where they read the proxies
    of the environment, which is not done for one's own network.
    """
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file and Path(file).is_file():
        return ssl.create_default_context(cafile=file)
    if folder and Path(folder).is_dir():
        return ssl.create_default_context(capath=folder)
    return True


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


def _kind(error: Exception) -> str:
    text = redact(str(error))
    with suppress(AttributeError):
        if not text and error.__cause__ is not None:
            text = redact(str(error.__cause__))
    return text or type(error).__name__


def _passing(cls: type[ServiceError], message: str, host: str) -> ServiceError:
    hint = "Check the network and the address; the run keeps what is done."
    return cls(message, hint, host=host, transient=True)
