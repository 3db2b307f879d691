"""The server that other tests are built on is quiet about clients and loud about itself."""

import socket

import httpx
import pytest

from loopback import LoopbackServer, QuietHandler


def handler_that(does):
    class Handler(QuietHandler):
        def do_GET(self):
            does(self)

    return Handler


def test_a_client_that_goes_away_is_no_news(capfd):
    def writes(handler):
        # A reset, as a killed client leaves one.
        handler.connection.shutdown(socket.SHUT_WR)
        handler.connection.sendall(b"too late")

    server = LoopbackServer(handler_that(writes))
    with server.serving(), pytest.raises(httpx.TransportError):
        httpx.get(server.url)
    assert capfd.readouterr().err == ""


def test_a_mistake_of_the_server_itself_is_printed(capfd):
    def fails(handler):
        raise AssertionError("the test's own mistake")

    server = LoopbackServer(handler_that(fails))
    with server.serving(), pytest.raises(httpx.TransportError):
        httpx.get(server.url)
    assert "the test's own mistake" in capfd.readouterr().err
