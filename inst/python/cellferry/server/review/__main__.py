"""The process of a live page: ``python -m cellferry.server.review FOLDER``.

It says where the page is in one line of JSON, and writes it into the folder. It ends when its
parent is gone, after some hours in which nobody asked, or by SIGTERM; not by Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import orjson
import psutil
import uvicorn

from ...annotate.review.process import runs
from ...errors import CellferryWarning
from ...files import PRIVATE, write_json
from ...runs.reviews import ReviewFolder
from ..http.connections import limited
from .app import ReviewApp
from .page import ReviewPage

LOOK_SECONDS = 2.0
IDLE_HOURS = 8.0
CONNECTIONS = 64


class _Server(uvicorn.Server):
    """A server that Ctrl-C does not end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        ignored = [signal.SIGINT]
        if hasattr(signal, "SIGHUP"):
            ignored.append(signal.SIGHUP)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda _number, _frame: self.stop())
        yield

    def stop(self) -> None:
        self.should_exit = True


def main() -> None:
    """Serve until the parent is gone, nobody has asked for long, or a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int)
    parser.add_argument("--parent-started", type=float, default=0.0)
    parser.add_argument("--idle-hours", type=float, default=IDLE_HOURS)
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    warnings.simplefilter("ignore", CellferryWarning)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    folder = ReviewFolder.opened(given.folder)
    token = secrets.token_urlsafe(24)
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/{token}/"
    started = psutil.Process().create_time()
    state = {"pid": os.getpid(), "folder": str(folder.path)}
    app = ReviewApp(ReviewPage(folder), token, dict(state))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http=limited(CONNECTIONS),
        proxy_headers=False,
        loop="asyncio",
        timeout_graceful_shutdown=2,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = _Server(config)
    content = {
        "address": address,
        "pid": os.getpid(),
        "port": listener.getsockname()[1],
        "token": token,
        "started": started,
    }
    write_json(folder.address, content, mode=PRIVATE)
    parent = None if given.parent is None else (given.parent, given.parent_started)
    watch = threading.Thread(
        target=_watch, args=(server, app, parent, 3600 * given.idle_hours), daemon=True
    )
    watch.start()
    gc.collect()
    sys.stdout.buffer.write(orjson.dumps(content) + b"\n")
    sys.stdout.buffer.flush()
    # Whoever started this reads no more.
    with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        _forget(folder)


def _watch(
    server: _Server, app: ReviewApp, parent: tuple[int, float] | None, idle_seconds: float
) -> None:
    while not server.should_exit:
        time.sleep(LOOK_SECONDS)
        gone = parent is not None and not runs(*parent)
        if gone or time.monotonic() - app.last_used > idle_seconds:
            server.stop()


def _forget(folder: ReviewFolder) -> None:
    """Remove the address, if it is still this process's."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if orjson.loads(folder.address.read_bytes())["pid"] == os.getpid():
            folder.address.unlink()


if __name__ == "__main__":
    main()
