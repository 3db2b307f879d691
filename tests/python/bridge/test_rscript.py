"""The exchange with an Rscript child: buffers, errors, and children that end badly."""

import os
import stat
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry import errors
from cellferry.bridge import wire
from cellferry.bridge.r_code import RSources, r_sources
from cellferry.bridge.rds import child as rds
from paths import ROOT
from r_session import needs_rscript


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_buffers_come_back_from_a_file(buffers):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        rds.write_buffers(Path(folder) / "x", buffers)
        assert rds.read_buffers(Path(folder) / "x") == buffers


@needs_rscript
def test_buffers_of_r_and_of_python_are_the_same(tmp_path):
    """R reads what Python wrote, and Python what R wrote of it."""
    given_buffers = [b"", b"\0\1", bytes(range(256)), np.arange(3.0).tobytes()]
    rds.write_buffers(tmp_path / "given", given_buffers)
    code = (
        f'e <- new.env(); sys.source("{ROOT}/R/bridge-rscript.R", e); setwd("{tmp_path}");'
        'e$write_buffers("back", e$read_buffers("given"))'
    )
    subprocess.run(["Rscript", "-e", code], check=True, env=rds.child_environment())
    assert rds.read_buffers(tmp_path / "back") == given_buffers


def fake_rscript(tmp_path, script):
    """An executable in place of Rscript; its second argument is the folder of the exchange."""
    path = tmp_path / "Rscript"
    path.write_text(f"#!/usr/bin/env bash\nfolder=${{!#}}\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def wait_for_text(path):
    """A shell makes a file before it writes into it."""
    while not path.exists() or not path.read_text().strip():
        time.sleep(0.01)


def test_a_child_that_dies_is_an_error_with_its_last_words(tmp_path):
    rscript = fake_rscript(tmp_path, 'echo "cannot allocate vector of size 9 Gb" >&2; exit 137')
    with (
        rds.RChild(rscript) as child,
        pytest.raises(
            errors.InternalError, match=r"status 137\): cannot allocate vector"
        ) as caught,
    ):
        child.serve({}, until="task")
    assert "memory" in caught.value.hint


def test_packages_that_r_lacks_are_named_with_the_line_that_installs_them(tmp_path):
    rscript = fake_rscript(
        tmp_path, 'printf "SeuratObject\\njsonlite\\n" >"$folder/missing"; exit 1'
    )
    with rds.RChild(rscript) as child, pytest.raises(errors.DependencyError) as caught:
        child.serve({}, until="task")
    assert caught.value.hint == 'In R: install.packages(c("SeuratObject", "jsonlite"))'


def test_leaving_ends_the_child_and_removes_its_folder(tmp_path):
    rscript = fake_rscript(tmp_path, f'echo "$folder" >{tmp_path}/where; exec sleep 600')
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), rds.RChild(rscript) as child:  # noqa: PT012
        wait_for_text(tmp_path / "where")
        process = child._child
        raise KeyboardInterrupt
    assert time.monotonic() - started < 10
    assert process.poll() is not None
    assert not Path((tmp_path / "where").read_text().strip()).exists()


@needs_rscript
def test_the_child_gets_no_library_path_and_can_write_utf_8(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    environment = rds.child_environment()
    assert "LD_LIBRARY_PATH" not in environment
    assert environment["LC_ALL"] == "C.UTF-8"
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"LC_ALL": "C"}, "C.UTF-8"),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, "C.UTF-8"),
        ({"LANG": "de_DE.ISO-8859-1"}, "C.UTF-8"),
        ({"LC_CTYPE": "C", "LANG": "de_DE.UTF-8"}, "C.UTF-8"),
        ({"LANG": "de_DE.UTF-8"}, None),
        ({"LC_ALL": "en_GB.utf8", "LANG": "C"}, "en_GB.utf8"),
    ],
)
def test_a_locale_that_is_not_utf_8_is_not_given_on(monkeypatch, given, found):
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert rds.child_environment().get("LC_ALL") == found


def test_without_any_utf_8_locale_the_error_says_so(tmp_path):
    rscript = fake_rscript(tmp_path, 'touch "$folder/no-utf8"; exit 1')
    with rds.RChild(rscript) as child, pytest.raises(errors.DependencyError, match="UTF-8") as e:
        child.serve({}, until="task")
    assert "LC_ALL" in e.value.hint


def test_what_the_child_started_ends_with_it(tmp_path):
    rscript = fake_rscript(tmp_path, f"sleep 600 & echo $! >{tmp_path}/other; exec sleep 600")
    with pytest.raises(KeyboardInterrupt), rds.RChild(rscript):  # noqa: PT012
        wait_for_text(tmp_path / "other")
        raise KeyboardInterrupt
    other = int((tmp_path / "other").read_text())
    while psutil.pid_exists(other) and psutil.Process(other).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def test_without_r_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(errors.DependencyError, match="no Rscript on the PATH"):
        rds.find_rscript()


@needs_rscript
def test_messages_errors_and_warnings_cross():
    with rds.RChild() as child:
        task = {"input": "/nowhere/x.rds"}
        with pytest.raises(errors.InputError, match=r"can't be read as \.rds"):
            child.serve({"task": lambda _message, _out: task}, until="annotate")


@needs_rscript
def test_vectors_cross_in_both_directions(tmp_path):
    """A child script of the test's own, over the same functions."""
    script = tmp_path / "child.R"
    folder = tmp_path / "exchange"
    folder.mkdir()
    load = rds.child_script(r_sources()).replace("code$work_on_rds(arguments[1])", "")
    script.write_text(
        load + "bridge <- code$folder_bridge(arguments[1])\n"
        "outgoing <- code$new_outgoing()\n"
        "numbers <- code$pack_real(outgoing, c(0.1, NA, Inf))\n"
        "sent <- list(x = numbers, s = code$json_text('\\u00e9'))\n"
        "assign('bridge', bridge, envir = code$.globals)\n"
        "answer <- code$bridge_call('hello', sent, outgoing)\n"
        "back <- code$unpack_buffer(answer$value$y, answer$buffers)\n"
        "outgoing <- code$new_outgoing()\n"
        "code$bridge_call('end', list(y = code$pack_real(outgoing, back * 2)), outgoing)\n",
        encoding="utf-8",
    )
    child = rds.RChild()
    child._child = subprocess.Popen(
        ["Rscript", str(script), str(child._folder)], stdin=subprocess.PIPE,
        env=rds.child_environment(),
    )  # fmt: skip
    try:
        hello = child.serve({}, until="hello")
        np.testing.assert_array_equal(hello["x"], [0.1, np.nan, np.inf])
        assert hello["s"] == "é"
        out = wire.Outgoing()
        child.answer({"y": out.vector(np.array([1.5, 2.0]), "<f8")}, out)
        assert child.serve({}, until="end")["y"].tolist() == [3.0, 4.0]
        child.answer(None)
        child.wait()
    finally:
        child.__exit__(None, None, None)


def test_the_script_loads_files_or_the_installed_package(tmp_path):
    files = rds.child_script(RSources(tmp_path / 'a "b"'))
    assert 'a \\"b\\"' in files
    assert "sys.source" in files
    package = rds.child_script(RSources(tmp_path, is_package=True))
    assert f'loadNamespace("cellferry", lib.loc = "{tmp_path}")' in package
