"""The CyteType engine against the real ``cellferry serve``, which is killed and started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from cellferry import annotate_clusters, resume
from cellferry.annotate.verb import annotate
from cellferry.engines.cytetype import CyteType
from cellferry.engines.service.client import Retries
from cytetype_objects import plain
from cytetype_runs import (
    CANARY,
    engine,
    everything_written,
    newest_run,
    outcome,
    python_process,
    study_for,
    wait_until,
)
from server_engine import PLUG
from server_process import ServerProcess

pytestmark = pytest.mark.process


MODEL = {"provider": "openai", "name": "m", "apiKey": CANARY}
# Longer than a server needs to come back.
PATIENT = Retries(attempts=40, first=0.1, longest=1.0, patience=5.0)
EXPECTED = {c: f"label {c}" for c in ("0", "1", "10", "2")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def serve(tmp_path):
    """Start servers on one folder and one port, so that one that is killed comes back there."""
    running = []

    def start(*options, plug="", **environment):
        port = str(free_port())
        made = ServerProcess(
            tmp_path / "data", "--port", port, "--chunk-size", "20K", *options,
            plug=plug, environment=environment,
        ).start()  # fmt: skip
        running.append(made)
        return made

    yield start
    for server in running:
        server.stop()


def patient(server, **options):
    made = engine(SimpleNamespace(url=server.url), **options)
    made.retries = PATIENT
    return made


def in_background(made):
    """Annotate in a thread; the returned list has the answer, or the error."""
    found = []

    def work():
        try:
            found.append(annotate(study_for(made), made))
        except BaseException as error:
            found.append(error)

    threading.Thread(target=work, daemon=True).start()
    return found


def answered(found):
    wait_until(lambda: found, 60)
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def test_labels_are_those_of_the_same_markers_without_a_service(serve, blood):
    server = serve()
    found = annotate_clusters(
        blood, group_key="louvain", engine=CyteType(api_url=server.url, poll_interval_seconds=0.2),
        tissue="blood", progress=False,
    )  # fmt: skip
    sent = json.loads((newest_run().folder / "query.json").read_text())
    lists = {sent["clusterLabels"][i]: genes for i, genes in sent["markerGenes"].items()}
    alone = annotate_clusters(lists, tissue="blood", progress=False)
    assert {c: a for c, a in alone.labels().items() if found[c].label != a} == {}
    assert all(row.status in {"ok", "unknown"} for row in found)
    assert found["0"].ontology_id.startswith("CL:")
    page = server.client.get(f"/report/{found.provenance['job']}")
    assert page.status_code == 200


def test_a_server_killed_in_mid_upload_and_in_mid_poll_costs_nothing(serve):
    server = serve(plug=PLUG, SLOW_MODEL_SECONDS="0.5")
    found = in_background(patient(server, llm_configs=[MODEL]))
    folder = server.data / "uploads"
    wait_until(lambda: any(folder.glob("*")))
    server.restart()
    wait_until(lambda: newest_run().content["remote_job_id"])
    server.restart()  # its keys are gone with it; the client gives them again
    assert answered(found).labels() == EXPECTED
    assert CANARY.encode() not in everything_written(server.data)


@pytest.mark.parametrize("where", ["upload", "poll"])
def test_a_client_killed_is_resumed_by_another_process(serve, where):
    server = serve(plug=PLUG, SLOW_MODEL_SECONDS="0.5")
    client = python_process(
        """
        import os
        from types import SimpleNamespace
        server = SimpleNamespace(url=os.environ["SERVER"])
        run_engine(server, llm_configs=[dict(provider="openai", name="m")], upload_max_workers=1)
        """,
        SERVER=server.url,
        OPENAI_API_KEY=CANARY,
    )
    if where == "upload":
        wait_until(lambda: any((server.data / "uploads").glob("*")))
    else:
        from cellferry.runs.run import list_runs

        wait_until(lambda: any(r.content["remote_job_id"] for r in list_runs()))
    client.send_signal(signal.SIGKILL)
    client.wait(10)
    other = python_process(
        """
        from cellferry.annotate import resume
        print(json.dumps(resume(newest_run().id).labels()))
        """,
        OPENAI_API_KEY=CANARY,
    )
    assert outcome(other) == EXPECTED
    assert newest_run().content["status"] == "finished"


def test_keys_lost_by_the_server_and_not_in_the_environment_are_asked_for(serve, monkeypatch):
    from cellferry.errors import CellferryError

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = serve(plug=PLUG, SLOW_MODEL_SECONDS="1")
    made = patient(server, llm_configs=[MODEL], timeout_seconds=1.5)
    with pytest.raises(CellferryError):
        annotate(study_for(made), made)
    server.restart()
    run = newest_run()
    with pytest.raises(CellferryError) as caught:
        resume(run.id)
    assert caught.value.code == "credentials_required"
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    run.update(options={**run.content["options"], "timeout_seconds": 60})
    assert resume(run.id).labels() == EXPECTED


def test_a_second_run_of_the_same_data_sends_no_matrix_again(serve):
    server = serve()
    for _ in range(2):
        made = engine(SimpleNamespace(url=server.url))
        annotate(study_for(made, plain()), made)
    uploads = [u for u in (server.data / "uploads").iterdir() if u.is_file()]
    sizes = sorted(u.stat().st_size for u in uploads)
    matrix = (newest_run().folder / "vars.h5").stat().st_size
    assert sizes.count(matrix) == 1


def test_signed_addresses_that_expired_are_reported_and_the_run_is_finished_later(serve):
    from cellferry.errors import ServiceForbiddenError

    server = serve("--signed-parts", "--signed-hours", "0")
    made = patient(server)
    with pytest.raises(ServiceForbiddenError, match="expired") as caught:
        annotate(study_for(made, plain()), made)
    server.stop()
    position = server._arguments.index("--signed-hours")
    server._arguments[position + 1] = "1"
    server.start()
    found = resume(caught.value.data["run"])
    assert {row.status for row in found} <= {"ok", "unknown"}
    kept = sorted(p.read_bytes() for p in (server.data / "uploads").iterdir() if p.stat().st_size)
    folder = newest_run().folder
    for name in ("vars.h5", "obs.duckdb"):
        assert (folder / name).read_bytes() in kept


def test_the_command_line_finishes_what_a_killed_client_began(serve):
    server = serve(plug=PLUG, SLOW_MODEL_SECONDS="0.5")
    client = python_process(
        """
        import os
        from types import SimpleNamespace
        server = SimpleNamespace(url=os.environ["SERVER"])
        run_engine(server, llm_configs=[dict(provider="openai", name="m")])
        """,
        SERVER=server.url,
        OPENAI_API_KEY=CANARY,
    )
    from cellferry.runs.run import list_runs

    wait_until(lambda: any(r.content["remote_job_id"] for r in list_runs()))
    client.send_signal(signal.SIGKILL)
    client.wait(10)
    script = "from cellferry.cli import main; main()"
    command = [sys.executable, "-c", script, "runs", "resume", newest_run().id]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENAI_API_KEY": CANARY},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert newest_run().results().labels() == EXPECTED
    assert CANARY not in done.stdout + done.stderr


def test_models_of_the_request_answer_through_a_server_that_is_killed(serve, llm_server):
    lists = {
        "b": ["CD79A", "MS4A1", "CD79B"], "t": ["CD3D", "CD3E", "IL7R"],
        "m": ["LYZ", "S100A8", "CD14"], "p": ["PPBP", "PF4", "GP9"],
    }  # fmt: skip
    llm_server.delay = 0.3
    server = serve("--allow-base-url", llm_server.url)
    model = {**MODEL, "baseUrl": f"{llm_server.url}/v1"}
    made = patient(server, llm_configs=[model], require_artifacts=False, n_parallel_clusters=1)
    found = []
    work = threading.Thread(
        target=lambda: found.append(annotate_clusters(lists, engine=made, progress=False))
    )
    work.start()
    wait_until(lambda: len(llm_server.log) > 2)
    server.restart()  # its keys are gone with it; the client gives them again
    work.join(60)
    assert found[0].labels() == {
        "b": "B cell", "t": "T cell", "m": "Monocyte", "p": "Platelet"
    }  # fmt: skip
    assert CANARY.encode() not in everything_written(server.data)
    assert CANARY not in server.log.read_text()
