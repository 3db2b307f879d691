"""Units of work on a real cluster of dask: remembered, never done twice, lost with a reason."""

import shutil
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cellferry
from cellferry.errors import (
    CellferryError,
    InvalidObjectError,
    InvalidOptionError,
    SchedulerError,
)
from cellferry.runs.run import Run
from cellferry.runs.units import Job, Unit, even_length, opened_cluster
from cellferry.runs.worker import CancelledWork, Events
from dask_cluster import Cluster
from fresh_python import python
from paths import PACKAGE

pytest.importorskip("distributed")


def units(n):
    return [Unit(f"number {i}", (i,)) for i in range(n)]


def job(folder, seconds=0.0, function="square"):
    return Job(f"dask_units:{function}", {"seconds": seconds}, {"folder": str(folder)})


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "cluster"
    made.mkdir()
    return made


@pytest.fixture
def run(tmp_path):
    return Run.create("local", folder=tmp_path / "x_run")


def squares(found):
    return [int(kept.arrays()["square"][0]) for kept in found]


def done(folder):
    return sorted(map(int, (folder / "done.txt").read_text().split()))


def after(folder, n, act):
    """Act in another thread once so many units were begun."""

    def wait():
        file = folder / "done.txt"
        while not file.exists() or len(file.read_text().split()) < n:
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.cluster
@pytest.mark.process
@pytest.mark.slow
class TestCluster:
    def test_results_are_in_the_order_of_units_and_are_not_made_twice(self, folder, run):
        with Cluster(folder, 2) as processes, opened_cluster(processes.address) as cluster:
            found = list(cluster.begin(job(folder), units(20), run, Events(), "numbers"))
            assert squares(found) == [i**2 for i in range(20)]
            again = list(cluster.begin(job(folder), units(25), run, Events(), "numbers"))
        assert squares(again) == [i**2 for i in range(25)]
        assert done(folder) == list(range(25))

    def test_a_result_that_was_damaged_on_the_disk_is_made_again(self, folder, run):
        with Cluster(folder) as processes, opened_cluster(processes.address) as cluster:
            first = list(cluster.begin(job(folder), units(3), run, Events(), "numbers"))
            first[1].file.write_bytes(b"x")
            again = list(cluster.begin(job(folder), units(3), run, Events(), "numbers"))
        assert squares(again) == [0, 1, 4]
        assert done(folder) == [0, 1, 1, 2]

    def test_two_kinds_of_work_are_done_at_once_and_each_is_in_order(self, folder, run):
        with Cluster(folder, 2) as processes, opened_cluster(processes.address) as cluster:
            first = cluster.begin(job(folder), units(12), run, Events(), "numbers")
            second = cluster.begin(job(folder, 0.01), units(9), run, Events(), "numbers")
            assert squares(second) == [i**2 for i in range(9)]
            # They were sent before those of the second.
            assert first.is_done
            assert squares(first) == [i**2 for i in range(12)]
        assert len(run.finished()) == 21

    def test_work_that_is_dropped_is_not_done_and_other_work_is(self, folder, run):
        with Cluster(folder) as processes, opened_cluster(processes.address) as cluster:
            unwanted = cluster.begin(job(folder, 0.5), units(40), run, Events(), "numbers")
            unwanted.drop()
            wanted = cluster.begin(job(folder), units(3), run, Events(), "numbers")
            assert squares(wanted) == [0, 1, 4]
        assert len(done(folder)) < 12

    def test_an_error_is_that_of_its_own_work(self, folder, run):
        with Cluster(folder) as processes, opened_cluster(processes.address) as cluster:
            wrong = cluster.begin(job(folder, 0, "refuse"), units(2), run, Events(), "numbers")
            right = cluster.begin(job(folder), units(4), run, Events(), "numbers")
            assert squares(right) == [0, 1, 4, 9]
            with pytest.raises(InvalidObjectError, match="is refused"):
                list(wrong)

    def test_a_worker_that_is_killed_costs_only_its_own_units(self, folder, run):
        with Cluster(folder, 2) as processes, opened_cluster(processes.address) as cluster:
            after(folder, 6, lambda: processes.kill(processes.workers[0]))
            found = list(cluster.begin(job(folder, 0.2), units(16), run, Events(), "numbers"))
        assert squares(found) == [i**2 for i in range(16)]

    def test_a_scheduler_that_is_killed_is_an_error_and_what_came_is_kept(self, folder, run):
        with Cluster(folder, 2) as processes:
            after(folder, 8, lambda: processes.kill(processes.scheduler))
            with (
                pytest.raises(SchedulerError) as lost,
                opened_cluster(processes.address) as cluster,
            ):
                list(cluster.begin(job(folder, 0.3), units(40), run, Events(), "numbers"))
        assert lost.value.message == "The scheduler is gone, and the work that it had with it."
        assert lost.value.data == {"problem": "lost", "run": run.id}
        kept = len(run.finished())
        assert 2 <= kept < 40
        assert f"{kept} units are kept and not done again" in lost.value.hint
        (folder / "done.txt").unlink()
        second = folder / "second"
        second.mkdir()
        with Cluster(second) as processes, opened_cluster(processes.address) as cluster:
            found = list(cluster.begin(job(folder, 0.3), units(40), run, Events(), "numbers"))
        assert squares(found) == [i**2 for i in range(40)]
        assert len(done(folder)) == 40 - kept

    def test_a_unit_that_kills_its_workers_is_given_up_with_the_reason(self, folder, run):
        with (
            Cluster(folder) as processes,
            opened_cluster(processes.address) as cluster,
            pytest.raises(SchedulerError) as killed,
        ):
            list(cluster.begin(job(folder, function="die"), units(1), run, Events(), "numbers"))
        assert killed.value.message == "4 workers died over the same unit of work."
        assert "memory is short" in killed.value.hint

    def test_what_a_worker_raises_reaches_the_user_as_it_is(self, folder, run):
        with (
            Cluster(folder) as processes,
            opened_cluster(processes.address) as cluster,
            pytest.raises(InvalidObjectError, match="The unit 0 is refused") as refused,
        ):
            list(cluster.begin(job(folder, function="refuse"), units(1), run, Events(), "numbers"))
        assert refused.value.hint == "Try another. 0 units are kept and not done again."

    def test_an_interrupt_ends_the_work_at_once(self, folder, run):
        events = Events()
        with Cluster(folder) as processes, opened_cluster(processes.address) as cluster:
            after(folder, 2, events.cancel)
            started = time.monotonic()
            with pytest.raises(CancelledWork):
                list(cluster.begin(job(folder, 1.0), units(30), run, events, "numbers"))
        assert time.monotonic() - started < 15
        assert len(run.finished()) < 6

    def test_a_worker_of_another_version_is_refused_before_any_work(self, folder, run):
        other = folder / "other"
        shutil.copytree(PACKAGE / "cellferry", other / "cellferry")
        own = other / "cellferry" / "_version.py"
        text = own.read_text("utf-8").replace(f'"{cellferry.__version__}"', '"0.0.1"')
        own.write_text(text, encoding="utf-8")
        with Cluster(folder) as processes:
            processes.worker(path=other)
            processes.wait_for(2)
            with (
                opened_cluster(processes.address) as cluster,
                pytest.raises(SchedulerError, match=r"has cellferry 0\.0\.1 and not") as differs,
            ):
                list(cluster.begin(job(folder), units(4), run, Events(), "numbers"))
        assert differs.value.data["problem"] == "versions"
        assert differs.value.message.startswith("The worker tcp://127.0.0.1:")
        assert '"cellferry==' in differs.value.hint
        assert not (folder / "done.txt").exists()

    def test_a_worker_without_the_package_is_named(self, folder, run):
        (folder / "cellferry").mkdir()
        (folder / "cellferry" / "__init__.py").write_text("")
        with Cluster(folder, 0) as processes, opened_cluster(processes.address) as cluster:
            processes.worker(path=folder)
            processes.wait_for(1)
            with pytest.raises(SchedulerError) as without:
                list(cluster.begin(job(folder), units(2), run, Events(), "numbers"))
        assert without.value.data["problem"] in {"worker", "versions"}
        assert "pip install cellferry==" in without.value.hint

    def test_a_file_that_one_worker_does_not_see_is_named_with_the_worker(self, folder, run):
        hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"']
        shared = folder / "shared"
        shared.mkdir()
        (shared / "there.txt").write_text("x")
        hide.append(str(shared))
        if subprocess.run([*hide, "true"], capture_output=True, check=False).returncode:
            pytest.skip("this machine allows no mounts of its own")
        looked = Job(
            "dask_units:square", {"seconds": 0}, {"folder": str(shared)}, "dask_units:look"
        )
        with Cluster(folder) as processes:
            processes.worker(before=hide)
            processes.wait_for(2)
            with (
                opened_cluster(processes.address) as cluster,
                pytest.raises(CellferryError, match=r"there\.txt") as missing,
            ):
                list(cluster.begin(looked, units(4), run, Events(), "numbers"))
        assert missing.value.data["worker"].startswith("tcp://127.0.0.1:")


@pytest.mark.slow
def test_nobody_answers():
    nobody = pytest.raises(SchedulerError, match='No scheduler answers at "tcp://127')
    with nobody, opened_cluster("tcp://127.0.0.1:9"):
        pass


@pytest.mark.parametrize("given", ["host:8786", 3, ["tcp://a"]])
def test_what_is_no_scheduler_is_refused(given):
    with (
        pytest.raises(InvalidOptionError, match="`scheduler` is") as refused,
        opened_cluster(given),
    ):
        pass
    assert 'the address of a scheduler ("tcp://host:8786")' in refused.value.hint


@pytest.mark.process
def test_without_distributed_it_is_said_what_to_install():
    code = (
        "import sys\nsys.modules['distributed'] = None\n"
        "from cellferry.errors import DependencyError\n"
        "from cellferry.runs.units import opened_cluster\n"
        "try:\n    opened_cluster('local').__enter__()\n"
        "except DependencyError as error:\n    print(error)\n"
    )
    done = python(code)
    assert 'pip install "cellferry[distributed]"' in done.stdout, done.stderr


@given(st.integers(0, 10**9), st.integers(1, 10**5), st.integers(1, 10**5))
def test_parts_are_of_even_length_within_bounds(n, least, most):
    length = even_length(n, least, most)
    assert 1 <= length <= most
    assert length >= min(least, most)
    if least < length < most:
        assert 16 <= -(-n // length) <= 32


def test_what_determines_a_result_is_its_key(tmp_path):
    one = job(tmp_path)
    assert one.key(Unit("a", (1,))) == one.key(Unit("b", (1,), 5))
    assert one.key(Unit("a", (1,))) == job(tmp_path / "moved").key(Unit("a", (1,)))
    assert one.key(Unit("a", (1,))) != one.key(Unit("a", (2,)))
    assert one.key(Unit("a", (1,))) != job(tmp_path, 1.0).key(Unit("a", (1,)))


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="only glibc gives memory back like this")
def test_a_worker_uses_memory_again_though_dask_has_it_given_back():
    """Each array that is freed was gone, and came again page by page."""
    code = """
import resource
import numpy as np
from cellferry.runs.units.remote import keep_memory

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
first = pages()
keep_memory()
pages()
print(first, pages())
"""
    done = python(code, MALLOC_TRIM_THRESHOLD_="65536")
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    if before < 20:
        pytest.skip("this system gives large pages, or has another allocator")
    assert after < before / 10
