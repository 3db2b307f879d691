"""What other systems lack: taken away here, and the core works without it.

Windows and macOS are not here. What can be simulated is: modules and functions that they do not
have, no fork, folders with blanks, names that differ by case alone. docs/platforms.md says of each
file what it means there.
"""

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cellferry import files
from paths import PACKAGE, ROOT

TOP = PACKAGE / "cellferry"
MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
OF_OS = {
    "O_CLOEXEC", "O_DIRECT", "O_DIRECTORY", "O_DSYNC", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC",
    "chown", "confstr", "eventfd", "fchdir", "fchmod", "fchown", "fdatasync", "fork", "forkpty",
    "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority",
    "getsid", "getuid", "killpg", "lchown", "lockf", "memfd_create", "mkfifo", "mknod", "nice",
    "openpty", "pathconf", "pipe2", "posix_fadvise", "posix_fallocate", "posix_spawn", "pread",
    "preadv", "pwrite", "pwritev", "sched_getaffinity", "sched_setaffinity", "sched_yield",
    "sendfile", "setpgid", "setpriority", "setsid", "statvfs", "sync", "sysconf", "uname",
}  # fmt: skip
OF_SIGNAL = {
    "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGUSR1",
    "SIGUSR2", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait",
}  # fmt: skip
"""What Windows has not (docs.python.org, "Availability: Unix")."""

GUARDED = {
    ("annotate/review/__init__.py", "os.uname"): "hasattr",
    ("artifacts/vars_h5/file.py", "os.O_DIRECT"): "hasattr; macOS has none either",
    ("artifacts/vars_h5/file.py", "os.pread"): "where there is os.pwrite",
    ("artifacts/vars_h5/file.py", "os.pwrite"): "hasattr; elsewhere one thread seeks and writes",
    ("bridge/rds/child.py", "os.killpg"): "hasattr; psutil elsewhere",
    ("bridge/rds/child.py", "signal.SIGKILL"): "where there is os.killpg",
    ("cli/exits.py", "signal.pthread_kill"): "hasattr",
    ("server/http/connections.py", "resource"): "ImportError",
    ("server/jobs/isolated.py", "resource"): "ImportError",
    ("server/lookup/child.py", "resource"): "ImportError",
    ("server/processes.py", "os.nice"): "after the import of resource",
    ("server/processes.py", "resource"): "ImportError; limit_to() is called after it",
    ("server/review/__main__.py", "signal.SIGHUP"): "hasattr",
}
"""Where the core uses what only some systems have, and why that does no harm elsewhere."""


def only_on_posix(path):
    """Yield what a file uses that Windows has not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            known = {"os": OF_OS, "signal": OF_SIGNAL}.get(node.value.id, set())
            if node.attr in known:
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from {a.name.partition(".")[0] for a in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from {(node.module or "").partition(".")[0]} & MODULES


def test_what_windows_lacks_is_used_only_where_it_is_looked_for_first():
    used = {
        (path.relative_to(TOP).as_posix(), name)
        for path in TOP.rglob("*.py")
        for name in only_on_posix(path)
    }
    assert used == GUARDED.keys()


def test_text_is_read_and_written_as_utf_8_everywhere():
    """Nothing is left to the locale, which under Windows is no UTF-8."""
    calls = [
        (path.relative_to(TOP).as_posix(), node.lineno)
        for path in TOP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"read_text", "write_text"}
        # A distribution's metadata, which is UTF-8 by itself, is named by its file.
        and not any(isinstance(a, ast.Constant) and a.value == "direct_url.json" for a in node.args)
        and "encoding" not in {k.arg for k in node.keywords}
        and not any(isinstance(a, ast.Constant) and a.value == "utf-8" for a in node.args)
    ]
    assert calls == []


WITHOUT = """
import os, signal, sys
# What the standard library and builds for this system need of these they have taken by then.
import asyncio, concurrent.futures, multiprocessing, platform, random, socket, subprocess, tempfile
import h5py, numpy, pandas, platformdirs, psutil
platform.uname()
for name in {modules!r}:
    sys.modules[name] = None
for name in {of_os!r}:
    if hasattr(os, name):
        delattr(os, name)
for name in {of_signal!r}:
    if hasattr(signal, name):
        delattr(signal, name)
"""


def python(code, cwd, *, without=(), **environment):
    """Return what a Python prints that runs the code after some things were taken away."""
    head = WITHOUT.format(
        modules=sorted(MODULES & set(without)), of_os=sorted(OF_OS & set(without)),
        of_signal=sorted(OF_SIGNAL & set(without)),
    )  # fmt: skip
    script = cwd / "script.py"
    script.write_text(head + textwrap.dedent(code), encoding="utf-8")
    given = {
        **os.environ, "PYTHONPATH": str(PACKAGE), "CELLFERRY_HOME": str(cwd / "home"),
        **environment,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, script], cwd=cwd, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WORK = """
import json
from pathlib import Path

import numpy as np
import scipy.sparse

import cellferry
from cellferry.artifacts.vars_h5.file import new_hdf5
from cellferry.runs.lock import held
from cellferry.server.http.connections import most_connections
from cellferry.server.processes import limit_memory

found = cellferry.annotate_clusters({
    "0": ["CD79A", "MS4A1", "CD79B", "CD19"], "b\\u00e9": ["CD3D", "CD3E", "CD3G", "CD2"],
})
with held(Path("x_run")) as session:
    with held(Path("x_run")) as again:
        same = session is again
with new_hdf5(Path("direct.h5")) as (file, _under):
    file["x"] = np.arange(5000)
import h5py
with h5py.File("direct.h5") as file:
    values = int(file["x"][...].sum())
limit_memory()
print(json.dumps({
    "labels": [row.label for row in found], "same": same, "values": values,
    "connections": most_connections() > 0,
}))
"""


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize(
    "without",
    [(), ("fcntl",), ("O_DIRECT", "sched_getaffinity"), tuple(MODULES | OF_OS | OF_SIGNAL)],
    ids=["all here", "without fcntl", "as on macOS", "as on Windows"],
)
def test_the_core_annotates_locks_and_writes_without_it(tmp_path, without):
    said = json.loads(python(WORK, tmp_path, without=without))
    assert said == {
        "labels": ["B cell", "T cell"], "same": True, "values": 12497500, "connections": True,
    }  # fmt: skip


@pytest.mark.process
@pytest.mark.slow
def test_every_module_is_imported_without_it(tmp_path):
    code = """
    import importlib, pkgutil
    import cellferry
    for module in pkgutil.walk_packages(cellferry.__path__, "cellferry."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    print("all")
    """
    # Packages of the server import what they find of these themselves.
    import starlette  # noqa: F401

    assert python(code, tmp_path, without=OF_OS | OF_SIGNAL | {"fcntl", "resource"}) == "all\n"


@pytest.mark.process
@pytest.mark.slow
def test_decisions_are_kept_byte_for_byte_without_it(tmp_path):
    """A file of decisions is only added to: its lines end in one byte, whatever the system."""
    code = """
    from pathlib import Path
    from cellferry.runs.decisions import _append
    path = Path("decisions.jsonl")
    _append(path, b"one\\n")
    path.write_bytes(path.read_bytes() + b"half")
    _append(path, b"two\\n")
    assert b"\\r" not in path.read_bytes()
    print(path.read_bytes().decode().replace("\\n", "|"))
    """
    assert python(code, tmp_path, without=OF_OS) == "one|half|two|\n"


@pytest.mark.process
@pytest.mark.slow
def test_processes_that_are_spawned_annotate_and_see_each_others_locks(tmp_path):
    code = """
    import multiprocessing
    from pathlib import Path
    import cellferry
    from cellferry.errors import RunLockedError
    from cellferry.runs.lock import held

    def work(genes):
        try:
            with held(Path("taken_run")):
                locked = False
        except RunLockedError:
            locked = True
        return cellferry.annotate_clusters({"a": genes}, progress=False)["a"].label, locked

    if __name__ == "__main__":
        spawn = multiprocessing.get_context("spawn")
        with held(Path("taken_run")), spawn.Pool(2) as pool:
            print(pool.map(work, [["CD79A", "MS4A1", "CD19"], ["CD3D", "CD3E", "CD2"]]))
    """
    script = "[('B cell', True), ('T cell', True)]\n"
    assert python(code, tmp_path, without={"fork", "forkpty"}) == script


@pytest.mark.process
def test_a_child_ends_with_what_it_started_where_there_are_no_sessions(tmp_path):
    code = """
    import subprocess, sys, time
    import psutil
    from cellferry.bridge.rds.child import _kill
    started = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {!r}]); p.wait()"
    child = subprocess.Popen([sys.executable, "-c", started.format("import time; time.sleep(60)")])
    while not (below := psutil.Process(child.pid).children()):
        time.sleep(0.02)
    _kill(child)
    gone, alive = psutil.wait_procs(below, timeout=10)
    print(len(gone), len(alive), child.returncode is not None)
    """
    assert python(code, tmp_path, without={"killpg"}) == "1 0 True\n"


@pytest.mark.process
@pytest.mark.slow
def test_a_folder_with_blanks_and_letters_of_its_own_is_a_folder(tmp_path):
    work = tmp_path / "Mein Ordner \u00fc \u65e5\u672c & 'so'"
    work.mkdir()
    (work / "m\u00e4rkte.csv").write_text(
        "cluster,gene,avg_log2FC,p_val_adj\nB\u00e9,CD79A,3,0\nB\u00e9,MS4A1,2,0\nB\u00e9,CD19,2,0\n",
        encoding="utf-8",
    )
    home = {"PYTHONPATH": str(PACKAGE), "CELLFERRY_HOME": str(work / "h \u00fc")}

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "cellferry", *arguments],
            cwd=work, env={**os.environ, **home}, capture_output=True, encoding="utf-8", check=True,
        )  # fmt: skip

    run("annotate", "m\u00e4rkte.csv", "--out", "mein \u00fc")
    assert "B\u00e9" in (work / "mein \u00fc_annotations.csv").read_text(encoding="utf-8")
    assert "B cell" in run("runs", "resume", "mein \u00fc_run").stdout
    listed = json.loads(run("runs", "list", "--json").stdout)
    assert any(str(work / "mein \u00fc_run") in str(one) for one in listed["runs"])


# --- names ---------------------------------------------------------------------------------------

NAMES = st.lists(
    st.one_of(
        st.sampled_from(["a", "A", "con", "CON", "Con.txt", "a.", "a ", "\u00fc", "u\u0308"]),
        st.text(min_size=1, max_size=20).filter(lambda name: name.strip("./\\\0")),
    ),
    min_size=1, max_size=8, unique=True,
)  # fmt: skip


@given(NAMES)
def test_folders_of_names_never_meet_where_case_does_not_count(names):
    made = []
    for name in names:
        made.append(files.portable_name(name, made))
    assert len({files._alike(name) for name in made}) == len(names)
    assert not any(files.is_unportable(name) for name in made)
    # The same names have the same folders again, so that a run is found.
    again = []
    for name in names:
        again.append(files.portable_name(name, again))
    assert again == made


def test_plain_names_stay_as_they_are():
    names = ["local", "gpt_5", "my.model", "Local2"]
    assert [files.portable_name(name, names[:i]) for i, name in enumerate(names)] == names


@pytest.mark.parametrize("name", ["con.h5ad", "NUL", "lpt1.csv", "a:b.csv", "what?.csv", "end."])
def test_under_windows_no_file_is_written_that_it_would_lose(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "_WINDOWS", True)
    for write in (lambda path: files.write_whole(path, "x"), files.check_writable):
        with pytest.raises(OSError, match="Windows has no files of this name"):
            write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_engines_whose_names_differ_by_case_keep_two_runs(tmp_path, monkeypatch):
    from cellferry.annotate.agreement.several import annotate_by_several
    from cellferry.annotate.request import AnnotateRequest

    monkeypatch.setenv("CELLFERRY_HOME", str(tmp_path / "home"))
    markers = {"a": ["CD79A", "MS4A1", "CD79B", "CD19"]}
    request = AnnotateRequest(markers, "local", "cell_type", None, None)
    folder = tmp_path / "x_run"
    engines = {"gpt": "local", "GPT": "local", "con": "local"}
    annotate_by_several(engines, request, (), {}, folder=folder)
    kept = [path.name for path in folder.iterdir() if (path / "run.json").is_file()]
    assert len({name.casefold() for name in kept}) == len(kept) == 3
    assert not any(files.is_unportable(name) for name in kept)


# --- the workflow --------------------------------------------------------------------------------


def workflow():
    path = ROOT / ".github" / "workflows" / "check.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def lines_of_workflow():
    for job in workflow()["jobs"].values():
        for step in job["steps"]:
            yield from (line.strip() for line in step.get("run", "").splitlines() if line.strip())


def test_the_workflow_is_whole():
    found = workflow()
    # YAML reads "on" as true.
    assert found[True]["push"]["branches"] == ["main"]
    for job in found["jobs"].values():
        assert job["timeout-minutes"] > 0
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
    matrix = found["jobs"]["platforms"]["strategy"]["matrix"]
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]
    assert matrix["r"] == ["release", "oldrel-1"]
    assert matrix["python"] == ["3.11", "3.13"]


def test_what_the_workflow_runs_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    markers = {m.partition(":")[0] for m in project["tool"]["pytest"]["ini_options"]["markers"]}
    lines = list(lines_of_workflow())
    assert lines
    for line in lines:
        if line.startswith("apt-get"):
            continue
        if line.startswith("make "):
            assert line.split()[1] in targets
        elif line.startswith("python -m pip install"):
            (asked,) = re.findall(r"\"?\.\[([\w,]+)\]", line)
            assert set(asked.split(",")) <= extras.keys()
        elif line.startswith("python -m pytest"):
            expression = re.search(r'-m "([^"]+)"', line)[1]
            assert set(re.findall(r"\w+", expression)) - {"not", "and", "or"} <= markers
        elif line.startswith(("scripts/", "Rscript scripts/", "bash scripts/")):
            assert (ROOT / re.search(r"scripts/[\w.]+", line)[0]).is_file()
        else:
            assert line.startswith(("R CMD INSTALL", "python -c ", "Rscript -e ")), line
