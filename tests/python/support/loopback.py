"""The HTTP server of the standard library on loopback, as the tests of clients need it."""

import errno
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open, and prints nothing of what is asked."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class LoopbackServer(ThreadingHTTPServer):
    """A server at a free port, or at one that is asked for, which another suite may still use.

    A client that goes away is no news.
    """

    daemon_threads = True
    # With the usual 5, many connections at once are dropped and tried again after a second.
    request_queue_size = 128

    def __init__(self, handler, port=0):
        end = time.monotonic() + 90
        while True:
            try:
                super().__init__(("127.0.0.1", port), handler)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        # Clients are cut off, killed and interrupted here. What the server of one test then
        # writes to stderr would be read by whichever test runs by that time.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @contextmanager
    def serving(self):
        """Answer in a thread of its own until the block is left."""
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
