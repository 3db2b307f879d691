"""Results on standard output, everything else on standard error, and neither with --quiet."""

import gzip
import json
import os
import re
import sys

import pytest

from cell_data import cells
from cellferry.annotations.clusters import Annotations
from cellferry.runs.run import Run
from command import MARKERS, alone, command, ended, start


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder with pbmc.h5ad and markers.csv, in which the command runs."""
    cells(30).write_h5ad(tmp_path / "pbmc.h5ad")
    (tmp_path / "markers.csv").write_text(MARKERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_is_the_result_and_the_rest_is_on_standard_error(work):
    done = command("annotate", "markers.csv", "--out", "x")
    assert [line.split()[0] for line in done.out.splitlines()] == ["cluster", "0", "1", "2"]
    assert "wrote x_annotations.csv" in done.err
    assert "human" in done.err


@pytest.mark.parametrize("place", ["before", "after"])
def test_quiet_says_nothing_but_errors(work, place):
    line = ["annotate", "markers.csv", "--species", "mouse", "--out", "x"]
    quiet = ["--quiet", *line] if place == "before" else [*line, "-q"]
    done = command(*quiet)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (work / "x_annotations.csv").exists()
    failed = command("annotate", "absent.csv", "--quiet")
    assert failed.err.startswith("Error: There is no file")


def test_quiet_leaves_what_was_asked_for(work):
    command("annotate", "markers.csv", "--out", "x", "--quiet")
    assert "x_run" in command("runs", "list", "--quiet").out
    assert json.loads(command("runs", "show", "x_run", "-q").out)["status"] == "finished"
    assert "B cell" in command("runs", "results", "x_run", "--quiet").out
    assert command("annotate", "markers.csv", "--dry-run", "--quiet").out.startswith("local: 3")


def test_json_is_one_document_with_all_that_was_said(work):
    done = command("annotate", "markers.csv", "--species", "mouse", "--out", "x", "--json")
    found = done.json
    assert (found["schema"], found["command"]) == ("cellferry.command/1", "annotate")
    assert (found["exit_code"], found["reason"], found["error"]) == (0, None, None)
    assert [row["cluster"] for row in found["rows"]] == ["0", "1", "2"]
    assert found["run"] == Run.open(work / "x_run").id == found["provenance"]["run"]
    assert found["outputs"] == ["x_annotations.csv", "x_annotations.json", "x_report.html"]
    said = {warning["code"]: warning["hint"] for warning in found["warnings"]}
    # They name what can be typed.
    assert "--species human" in said["species"]
    assert "genes_unrecognised" in said
    assert "Warning: The species" in done.err


VERBS = [
    ("annotate markers.csv --out x", {"rows", "outputs", "provenance", "counts", "run"}),
    ("annotate pbmc.h5ad --cells --out y", {"rows", "outputs", "provenance", "counts", "run"}),
    ("annotate markers.csv --dry-run", {"plan"}),
    ("annotate markers.csv --out -", {"rows", "outputs", "provenance", "counts", "run"}),
    ("runs list", {"runs"}),
    ("runs show made_run", {"run"}),
    ("runs results made_run", {"rows", "provenance", "evidence", "run"}),
    ("runs resume made_run", {"rows", "outputs", "provenance", "counts", "run"}),
    ("report made_run r.html", {"outputs"}),
    ("artifacts build pbmc.h5ad --group-key leiden", {"outputs", "normalisation", "counts"}),
    ("doctor", {"checks"}),
]


@pytest.mark.parametrize(("line", "members"), VERBS, ids=[line for line, _ in VERBS])
def test_every_verb_has_one_json_document(work, line, members):
    command("annotate", "markers.csv", "--out", "made", "-q")
    done = command(*line.split(), "--json")
    assert done.json.keys() >= members | {"exit_code", "reason", "error", "warnings"}
    assert done.json["exit_code"] == done.code
    assert done.json["command"] == " ".join(
        word for word in line.split()[:2] if word in {"annotate", "runs", "report", "artifacts",
        "doctor", "build", "list", "show", "results", "resume"})  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("annotate absent.csv", "markers_unreadable"),
        ("annotate markers.csv --engine lokal", "unknown_engine"),
        ("annotate markers.csv --no-such", "usage"),
        ("runs show nothing", "run_not_found"),
        ("no-such", "usage"),
    ],
)
def test_errors_are_json_too(work, line, code):
    done = command(*line.split(), "--json")
    assert done.json["error"].keys() == {"code", "message", "hint", "data"}
    assert done.json["error"]["code"] == code
    assert done.json["exit_code"] == done.code
    assert done.json["error"]["message"] in done.err


def test_results_as_json_are_read_back_as_annotations(work):
    command("annotate", "markers.csv", "--out", "x", "-q")
    found = Annotations.from_json(command("runs", "results", "x_run", "--json").out)
    assert found.to_json() == Run.open(work / "x_run").results().to_json()


@pytest.mark.parametrize("zipped", [False, True])
def test_a_marker_table_comes_on_standard_input(work, zipped):
    given = gzip.compress(MARKERS.encode()) if zipped else MARKERS.encode()
    command("annotate", "markers.csv", "--out", "x", "-q")
    done = command("annotate", "-", "--out", "y", stdin=given)
    assert done.code == 0, done.err
    assert (work / "y_annotations.csv").read_text() == (work / "x_annotations.csv").read_text()
    # Without a name the table goes on to the next command of a pipe.
    piped = command("annotate", "-", stdin=given)
    assert piped.out == (work / "x_annotations.csv").read_text()
    assert not list(work.glob("stdin*"))


def test_markers_of_an_object_come_on_standard_input(work):
    line = ["annotate", "pbmc.h5ad", "--group-key", "leiden", "--out"]
    assert command(*line, "x", "--markers", "markers.csv").code == 0
    done = command(*line, "y", "--markers", "-", stdin=MARKERS.encode())
    assert done.code == 0, done.err
    assert (work / "y_cells.csv").read_bytes() == (work / "x_cells.csv").read_bytes()


def test_nothing_on_standard_input_says_so(work):
    done = command("annotate", "-", stdin=b"")
    assert (done.code, done.out) == (1, "")
    assert '"stdin.csv" is an empty file' in done.err
    terminal = command("annotate", "-", stdin=None)
    assert terminal.code == 2
    assert "nothing comes" in terminal.err


def test_a_run_of_standard_input_is_finished_without_it(work):
    command("annotate", "-", "--out", "x", stdin=MARKERS.encode())
    made = Run.open(work / "x_run")
    assert "input" not in made.content["provenance"]
    (work / "x_run" / "annotations.json").unlink()
    made.update(status="interrupted")
    assert "B cell" in command("runs", "resume", "x_run").out


def test_a_report_goes_to_standard_output(work):
    command("annotate", "markers.csv", "--out", "x", "-q")
    done = command("report", "x_run", "-")
    assert done.out.startswith("<!DOCTYPE html>")
    assert done.out.encode() == (work / "x_report.html").read_bytes()
    assert command("report", "x_run", "-", "--json").code == 2


def test_the_log_has_everything_with_its_time_and_no_secret(work, llm_server):
    line = [
        "annotate", "markers.csv", "--engine", "llm", "--provider", llm_server.url, "--model", "m",
        "--option", "api_key=sk-very-secret", "--species", "mouse", "--out", "x",
    ]  # fmt: skip
    done = command(*line, "--quiet", "--log-file", "x.log")
    assert (done.code, done.err) == (0, "")
    log = (work / "x.log").read_text(encoding="utf-8")
    first, *_, last = log.splitlines()
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d{4} INFO cellferry ", first)
    assert last.endswith("exit code 0")
    assert "Warning: The species was given" in log
    assert "wrote x_annotations.csv" in log
    assert "sk-very-secret" not in log
    # The next command goes on with it, and errors are there with where they came from.
    command("--log-file", "x.log", "annotate", "absent.csv")
    longer = (work / "x.log").read_text(encoding="utf-8")
    assert longer.startswith(log)
    assert "Error: There is no file" in longer
    assert "Traceback" in longer
    assert longer.splitlines()[-1].endswith("exit code 1")


def test_a_fault_of_our_own_is_a_sentence_and_its_traceback_is_in_the_log(work, monkeypatch):
    monkeypatch.setattr(sys.modules["cellferry.cli.runs"], "the_console", lambda: None)
    done = command("runs", "list", "--json", "--log-file", "x.log")
    assert done.code == 1
    assert done.err.startswith("Error: cellferry failed unexpectedly: AttributeError")
    assert "Traceback" not in done.err
    assert done.json["error"]["code"] == "internal"
    assert "Traceback" in (work / "x.log").read_text()


@pytest.mark.process
def test_a_reader_that_has_gone_is_no_error(work):
    process = start("annotate", "markers.csv", "--out", "x", cwd=work)
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(60) == 0
    assert "Traceback" not in err
    assert "Broken" not in err
    assert "wrote x_report.html" in err


@pytest.mark.process
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_at_standard_output_is_an_error(work):
    import subprocess

    from command import environment

    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "cellferry", "annotate", "markers.csv", "--out", "x", "--json"],
            stdout=full, stderr=subprocess.PIPE, env=environment(), check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert b"Standard output cannot be written: No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.process
def test_a_locale_that_is_not_utf_8_loses_nothing(work):
    (work / "märkte é.csv").write_text(MARKERS.replace("\n0,", "\nBé,"), encoding="utf-8")
    done = alone("annotate", "märkte é.csv", "--out", "ü", "--json", cwd=work, LC_ALL="C")
    assert done.code == 0, done.err
    assert "Bé" in [row["cluster"] for row in done.json["rows"]]
    assert "Bé" in (work / "ü_annotations.csv").read_text(encoding="utf-8")


@pytest.mark.process
def test_a_name_that_is_no_text_is_refused_before_the_work(work):
    # What PYTHONUTF8=0 leaves of LC_ALL=C.
    done = alone(
        "annotate", "märkte.h5ad", cwd=work,
        LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
    )  # fmt: skip
    assert done.code == 2
    assert "LC_ALL=C.UTF-8" in done.err
    assert "Traceback" not in done.err


@pytest.mark.process
def test_the_shell_completes_commands_and_options(work):
    script = alone(cwd=work, _CELLFERRY_COMPLETE="bash_source")
    assert "complete -o nosort -F _cellferry_completion cellferry" in script.out

    def completed(words, at):
        more = {"COMP_WORDS": words, "COMP_CWORD": str(at), "_CELLFERRY_COMPLETE": "bash_complete"}
        return {line.split(",")[1] for line in alone(cwd=work, **more).out.splitlines()}

    assert completed("cellferry ann", 1) == {"annotate"}
    assert {"--json", "--quiet", "--group-key"} <= completed("cellferry annotate --", 2)
    assert "local" in completed("cellferry annotate --engine l", 3)


@pytest.mark.process
def test_a_home_that_cannot_be_written_does_no_harm(work):
    nowhere = {"HOME": "/proc/x", "CELLFERRY_HOME": None, "XDG_DATA_HOME": None}
    done = alone("annotate", "markers.csv", "--out", "x", "--json", cwd=work, **nowhere)
    assert done.code == 0, done.err
    assert [w["code"] for w in done.json["warnings"]] == ["run_place"]
    assert "Traceback" not in done.err
    assert (work / "x_report.html").exists()


@pytest.mark.process
def test_the_module_is_the_command(work):
    done = ended(start("--help", cwd=work))
    assert done.out.startswith("Usage: cellferry [OPTIONS]")
    assert "130  interrupted" in done.out
