"""``cellferry serve``: the whole job protocol on the user's own machine.

``settings`` says what may be set, ``service`` is one data folder and everything that works on
it, ``store`` keeps what was accepted, ``failures`` are the answers to what is refused, and
``bodies`` is how a request is checked by its model, from which the OpenAPI document is made too.
``http`` has the addresses, who may use them, and the pages; ``uploads`` takes files in parts;
``jobs`` checks what clients submit, runs it, and translates between the protocol and this
package. Files of clients are read by ``lookup`` and large bodies parsed by ``parsing``, in other
processes (``processes``). ``folder`` knows whose the data folder is and what may be removed.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import sys
import warnings
from typing import TYPE_CHECKING

from .._version import pip_install
from ..errors import CellferryWarning, DependencyError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Settings

__all__ = ["serve"]

SWITCH_SECONDS = 0.0005
NEEDED = ("duckdb", "hdf5plugin", "pydantic", "starlette", "uvicorn")


def serve(settings: Settings, ready: Callable[[str], None] | None = None) -> None:
    """Run a server until it is interrupted or a signal ends it.

    Parameters
    ----------
    settings
        Where it listens, where it keeps its data, what it allows.
    ready
        Called with the server's address when it listens.

    Raises
    ------
    DependencyError
        The extra ``server`` is not installed.
    DataInUseError, OutputError
        The data folder is used by another server, or cannot be written, or the address
        is taken.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(", ".join(missing).rsplit(", ", 1))
        be = "is" if len(missing) == 1 else "are"
        message = f"The server needs {names}, which {be} not installed."
        raise DependencyError(message, f"Install the extra: {pip_install('server')}")
    import uvicorn

    from .http.app import create_app
    from .http.connections import limited, most_connections

    # What a job's clients should know is in its results; a server has nobody to warn.
    warnings.simplefilter("ignore", CellferryWarning)
    listener = _listen(settings)
    switching = sys.getswitchinterval()
    # A job that computes lets the loop that answers requests go first, ten times more often.
    sys.setswitchinterval(SWITCH_SECONDS)
    # Jobs and uploads may be of patients: nobody else reads what is made from here on.
    umask = os.umask(0o077)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        config = uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            http=limited(most_connections()),
            # Who may say that the client used TLS is decided by the guards.
            proxy_headers=False,
            loop="asyncio",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        if ready is not None:
            ready(f"http://{host}:{port}")
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        os.umask(umask)
        sys.setswitchinterval(switching)
        listener.close()


def _listen(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        message = f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}."
        raise OutputError(message, "Choose another with --host or --port.") from error
    return listener
