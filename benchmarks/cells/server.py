"""The Cell Atlas endpoint alone, in a process of its own: what `cellferry serve` answers with."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cellferry.engines.local.cells.requests import answer_request

from .memory import most_megabytes

ONE_AT_A_TIME = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.reply(str(most_megabytes()).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with ONE_AT_A_TIME:
            self.reply(answer_request(body))

    def reply(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)
