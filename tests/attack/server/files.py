"""Artifacts of clients that are damaged at random: refused or read, and the server stays up."""

import tempfile
from pathlib import Path

from tests.attack.chance import Tally, chosen, times

from server_files import write_obs_duckdb, write_vars_h5
from server_process import ServerProcess, code, submit, upload


def rows(scale):
    draw = chosen("files")
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder) / "data") as server:
        for kind, write in (("vars_h5", write_vars_h5), ("obs_duckdb", write_obs_duckdb)):
            tally = Tally(f"random damage of {kind}: refused or read, the server is up")
            content = write(Path(folder) / kind).read_bytes()
            for _ in range(times(60, scale)):
                broken = bytearray(content)
                how = draw.choice(["flip", "flips", "cut", "garbage", "zero"])
                at = draw.randrange(len(broken))
                if how == "cut":
                    broken = broken[: max(1, at)]
                elif how in {"garbage", "zero"}:
                    n = min(draw.randint(1, 2000), len(broken) - at)
                    broken[at : at + n] = draw.randbytes(n) if how == "garbage" else bytes(n)
                else:
                    for _flip in range(1 if how == "flip" else 50):
                        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
                found = upload(server, kind, bytes(broken))
                fine = True
                if isinstance(found, str):
                    job = submit(server, uploaded_files={kind: found})
                    server.wait_for(job)
                    path = f"/data/{job}/"
                    answers = [
                        server.client.get(f"{path}expression?gene=CD3D"),
                        server.client.post(f"{path}counts", json={"filters": []}),
                    ]
                    fine = all(a.status_code < 500 for a in answers)
                else:
                    fine = code(found) == "INVALID_ARTIFACT"
                tally.add(fine and server.client.get("/health").status_code == 200, how)
            yield tally.row
