"""``SSL_CERT_FILE`` holds for servers of one's own network too."""

import ssl
import subprocess

import pytest

from cellferry.engines.llm import client
from cellferry.engines.service.client import Retries, Service
from cellferry.errors import ServiceError
from llm_cases import TWO, ask
from llm_server import Server


@pytest.fixture
def certified(tmp_path):
    """A server with a certificate that only its own file vouches for."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.url = server.url.replace("http:", "https:")
    with server:
        yield server, certificate


def test_the_certificates_of_the_environment_hold_for_this_machine(certified, monkeypatch):
    server, certificate = certified
    monkeypatch.setattr(client.Client, "base_wait", 0.01)
    monkeypatch.setattr(client, "TRANSPORT_ATTEMPTS", 2)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert {row.status for row in ask(server, TWO)} == {"failed"}
    with (
        Service(server.url, retries=Retries(attempts=1)) as service,
        pytest.raises(ServiceError, match="certificate"),
    ):
        service.get("/")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(server, TWO).labels() == {"0": "B cell", "1": "T cell"}
