"""Who takes a server's time: slow bodies, half-open headers, many queries, many jobs at once.

Through all of it /status answers 99 of 100 times within 250 ms. A machine that is busy with
something else is no fault of the server: by how much it is late with a little work of another
process is measured at the same time, printed, and allowed beside.
"""

import concurrent.futures
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from tests.attack.chance import Tally, times
from tests.attack.server.traffic import JSON, Watch, body, connected, finished, received

from server_files import write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, submit, upload

SECONDS = 0.25
HEAD = b"POST /annotate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
FEW_FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))"


def rows(scale):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        yield from with_few_files(folder, scale)
        yield from all_at_once(folder, scale)


def with_few_files(folder, scale):
    """Half-open headers, more than there are files; connections without a byte; slow bodies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    n = times(1100, scale)
    with ServerProcess(folder / "few", plug=FEW_FILES) as server:
        job = submit(server)
        server.wait_for(job)
        for what, sent in (
            ("half-open headers, 1,024 files", b"POST /annotate HTTP/1.1\r\nHost: loc"),
            ("connections without a byte, 1,024 files", b""),
            ("bodies that do not come, 1,024 files", HEAD + b"Content-Length: 9999\r\n\r\n{"),
        ):
            answered, freed = Tally(f"{what}: others are answered"), Tally(f"{what}: they end")
            held = []
            for i in range(n):
                connection = connected(server)
                connection.sendall(sent)
                held.append(connection)
                if i % 50 == 49 or i == n - 1:
                    answered.add(*is_served(server, job))
            end = time.monotonic() + 40
            for connection in held:
                freed.add(is_closed(connection, max(0.1, end - time.monotonic())), "still open")
                connection.close()
            yield answered.row
            yield freed.row
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def is_served(server, job):
    begun = time.perf_counter()
    try:
        with httpx.Client(timeout=10) as client:
            answer = client.get(f"{server.url}/status/{job}")
            accepted = client.post(f"{server.url}/annotate", content=body(100, 3), headers=JSON)
    except httpx.HTTPError as error:
        return False, repr(error)
    seconds = time.perf_counter() - begun
    is_good = answer.status_code == accepted.status_code == 200 and seconds < 5
    return is_good, f"{answer.status_code} {accepted.status_code} {seconds:.1f} s"


def is_closed(connection, seconds):
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def all_at_once(folder, scale):
    """Everything at the same moment, and 100 jobs beside it."""
    n_jobs, n_queries, n_slow = times(100, scale), times(60, scale), times(40, scale)
    write_obs_duckdb(folder / "o", n_cells=20_000)
    write_vars_h5(folder / "v")
    content = body(20_000 if scale >= 0.5 else 2000, 20)
    jobs, queried, slow = (
        Tally("jobs at once, each with 20,000 genes x 20 clusters: answered"),
        Tally("data queries at once: answered, or told when to ask again"),
        Tally("slow bodies at once: refused in the end, nobody waits for them"),
    )
    with ServerProcess(folder / "data") as server:
        obs = upload(server, "obs_duckdb", (folder / "o").read_bytes())
        job = submit(server, uploaded_files={"obs_duckdb": obs})
        server.wait_for(job)
        stop, hanging = threading.Event(), []
        for i in range(n_slow):
            connection = connected(server)
            head = HEAD + b"Content-Length: 100000000\r\n\r\n"
            connection.sendall(head + (b" " * 6_000_000 if i < 45 else b"{"))
            hanging.append(connection)
        watch = Watch(server, job)
        watch.start()

        def one_job(_):
            with httpx.Client(base_url=server.url, timeout=300) as client:
                for _try in range(20):
                    answer = client.post("/annotate", content=content, headers=JSON)
                    if answer.status_code == 200:
                        return answer.json()["job_id"]
                    if answer.status_code not in {408, 503}:
                        return answer.text
                    time.sleep(float(answer.headers.get("retry-after", "1")))
            return "never accepted"

        def queries(_):
            found = []
            with httpx.Client(base_url=server.url, timeout=120) as client:
                while not stop.is_set():
                    sent = {"filters": [], "group_by": "leiden"}
                    answer = client.post(f"/data/{job}/counts", json=sent)
                    found.append((answer.status_code, answer.headers.get("retry-after")))
                    if answer.status_code == 503:
                        stop.wait(1)
            return found

        with concurrent.futures.ThreadPoolExecutor(n_jobs + n_queries) as pool:
            asking = [pool.submit(queries, i) for i in range(n_queries)]
            accepted = [*pool.map(one_job, range(n_jobs))]
            known = [a for a in accepted if len(a) == 36]
            ended = finished(server, known)
            stop.set()
            for found in asking:
                for status, retry in found.result():
                    queried.add(status == 200 or (status == 503 and retry), status)
        watch.stop()
        for found in accepted:
            jobs.add(ended.get(found) == "completed", found)
        for connection in hanging:
            slow.add(received(connection, 40)[:20], "no answer")
            connection.close()
        late = watch.quantile(0.99, watch.late)
        allowed = SECONDS + late
        quick = Tally("/status meanwhile: 99 of 100 answers within 250 ms")
        quick.tried = len(watch.seconds)
        slower = sum(s > allowed for s in watch.seconds)
        quick.survived = quick.tried - max(0, slower - quick.tried // 100) - len(watch.failures)
        sys.stdout.write(
            f"    /status: {quick.tried} asked, p50 {1000 * watch.quantile(0.5):.0f} ms, "
            f"p99 {1000 * watch.quantile(0.99):.0f} ms, most {1000 * watch.quantile(1):.0f} ms "
            f"(the machine itself is late by {1000 * late:.0f} ms, p99); "
            f"memory of the server {server.memory_bytes() / 2**20:.0f} MiB\n"
        )
        yield quick.row
        yield jobs.row
        yield queried.row
        yield slow.row
