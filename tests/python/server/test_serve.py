"""`serve`: what keeps it from starting, and how it ends."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys

import pytest

from cellferry._version import pip_install
from cellferry.errors import DependencyError, OutputError
from cellferry.server import serve
from cellferry.server.settings import Settings
from paths import PACKAGE
from server_process import ServerProcess, submit

pytestmark = pytest.mark.process


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyError, match="starlette and uvicorn"):
        serve(Settings(tmp_path / "data"))


def test_without_pydantic_it_says_what_to_install(tmp_path):
    """Before anything is imported that needs it."""
    script = (
        "import sys; sys.modules['pydantic'] = None; import importlib.util; "
        "found = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda n, *a: None if n == 'pydantic' else found(n, *a); "
        "from cellferry.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "serve", "--data", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PACKAGE)
    assert done.returncode != 0
    assert "The server needs pydantic, which is not installed." in done.stderr
    assert pip_install("server") in done.stderr


def test_an_address_that_is_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(OutputError, match="Cannot listen"):
            serve(Settings(tmp_path / "data", port=other.getsockname()[1]))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to_and_leaves_a_folder_that_can_be_used(tmp_path, end):
    server = ServerProcess(tmp_path / "data").start()
    job = submit(server)
    server.wait_for(job)
    os.kill(server.process.pid, end)
    server.process.wait(timeout=10)
    server.stop()
    with ServerProcess(tmp_path / "data") as again:
        assert again.client.get(f"/results/{job}").status_code == 200


def test_it_listens_on_ipv6_too(tmp_path):
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with ServerProcess(tmp_path / "data", "--host", "::1") as server:
        assert "[::1]" in server.url


def test_runs_of_the_server_are_not_among_the_users(tmp_path, own_home):
    with ServerProcess(tmp_path / "data") as server:
        server.wait_for(submit(server))
    assert not (own_home / "runs").exists()
