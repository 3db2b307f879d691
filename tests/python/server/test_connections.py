"""Connections: silent and half ones end in time, and make room for those that ask."""

import resource
import socket
import time

import pytest

from cellferry.server.http.connections import MOST, SPARE_FILES, limited, most_connections
from server_process import ServerProcess, submit

FEW = """
import cellferry.server.http.connections as c
c.most_connections = lambda: 20
c.HEADER_SECONDS = {seconds}
"""
POST = b"POST /annotate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def connected(server):
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def all_of(connection):
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionError:
        pass
    return found


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    folder = tmp_path_factory.mktemp("patient")
    with ServerProcess(folder / "data", plug=FEW.format(seconds=60)) as found:
        yield found


@pytest.mark.process
def test_half_a_request_is_answered_in_time(tmp_path):
    with ServerProcess(tmp_path / "data", plug=FEW.format(seconds=0.3)) as server:
        with connected(server) as half, connected(server) as silent:
            half.sendall(POST[:30])
            answer = all_of(half)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'"error_code": "REQUEST_TIMEOUT"' in answer
            assert all_of(silent) == b""
        with connected(server) as trickling:
            begun = time.monotonic()
            try:
                while time.monotonic() - begun < 10:
                    trickling.sendall(b"X")
                    time.sleep(0.1)
            except ConnectionError:
                pass
            assert time.monotonic() - begun < 10
        # A request in two pieces, and a second one on the same connection.
        with connected(server) as slow:
            for _ in range(2):
                slow.sendall(b"GET /health HTTP/1.1\r\n")
                time.sleep(0.1)
                slow.sendall(b"Host: localhost\r\n\r\n")
                answer = b""
                while b'"status":"ok"' not in answer:
                    answer += slow.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.process
@pytest.mark.parametrize(
    "sent", [b"", POST[:40], POST + b"Content-Length: 9999\r\n\r\n{"], ids=["none", "half", "body"]
)
def test_who_asks_for_nothing_keeps_nobody_out(patient, sent):
    held = []
    for _ in range(60):
        connection = connected(patient)
        connection.sendall(sent)
        held.append(connection)
    time.sleep(0.3)
    job = submit(patient)
    patient.wait_for(job)
    for connection in held:
        connection.close()


@pytest.mark.process
def test_what_is_no_request_is_refused_in_the_form_of_the_protocol(patient):
    with connected(patient) as connection:
        connection.sendall(b"no request at all\r\n\r\n")
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"error_code": "BAD_REQUEST"' in answer


def test_there_are_fewer_connections_than_files():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        most = most_connections()
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert 2 * most + SPARE_FILES <= soft or most == MOST
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert limited(7).most == 7
