"""An HTTP server on loopback that shows a folder, and fails where a test wants it to."""

from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler

from loopback import LoopbackServer


class Handler(SimpleHTTPRequestHandler):
    """Counts what is asked for, and answers as ``server.faults`` says: path -> list of answers.

    An answer is a status, ``"cut"`` (the connection ends within the body) or an address to
    redirect to; each is given once.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = self.path.partition("?")[0]
        self.server.asked.append(asked)
        for name, answers in self.server.faults.items():
            if name in asked and answers:
                return self._fail(answers.pop(0) if len(answers) > 1 else answers[0], answers)
        if not self.server.lists and asked.endswith("/"):
            return self.send_error(404)
        return super().do_GET()

    def _fail(self, answer, answers):
        if answer == "once":
            answers.clear()
            answer = 503
        if answer == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"x" * 100)
            self.close_connection = True
            return None
        if isinstance(answer, str):
            self.send_response(302)
            self.send_header("Location", answer)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        return self.send_error(answer)

    def log_message(self, *_):
        pass


@contextmanager
def served(folder, *, lists=False):
    """Yield a server of a folder; ``lists`` is whether it shows what is in folders."""
    server = LoopbackServer(partial(Handler, directory=str(folder)))
    server.asked, server.faults, server.lists = [], {}, lists
    with server.serving():
        yield server
