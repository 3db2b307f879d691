"""Ask a published CyteType client for its payloads, and keep them for the tests.

    /path/to/python-with-cytetype scripts/record_cytetype_payloads.py OUTPUT.json.gz

The client runs unchanged against the test server on loopback; what it sends to ``/annotate`` is
kept. Needs the releases 0.13 or later (Python >= 3.12).
"""

import gzip
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python" / "support"))

import cytetype

from cytetype_objects import OBJECTS, OPTIONS
from fault_server import FaultServer


def payload(adata, **options):
    """Return the payload, and what the client left in the AnnData."""
    before = set(adata.obs.columns)
    with FaultServer(chunk_size=10**9, polls=1) as server:
        annotator = cytetype.CyteType(adata, group_key="cluster", api_url=server.url, **options)
        annotator.run(
            study_context="a study", metadata={"run": "v1"}, show_progress=False,
            auth_token="x", poll_interval_seconds=1,
        )  # fmt: skip
        (job,) = server.jobs.values()
        results = json.loads(adata.uns["cytetype_results"]["result"])
        left = {
            "obs": {c: adata.obs[c].astype(str).tolist() for c in adata.obs if c not in before},
            "jobDetails": sorted(adata.uns["cytetype_jobDetails"]),
            "results": results,
        }
        return job["sent"]["input_data"], left


def main(output):
    recorded, delivered = {}, {}
    cases = [(name, "plain", make) for name, make in OBJECTS.items()]
    cases += [("plain", option, OBJECTS["plain"]) for option in OPTIONS if option != "plain"]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, option, make in cases:
            case = f"{name}/{option}"
            recorded[case], delivered[case] = payload(make(), **OPTIONS[option])
            print(case, list(recorded[case]["clusterLabels"].items()))
    content = {
        "client": f"cytetype {cytetype.__version__}",
        "payloads": recorded,
        "delivered": delivered,
    }
    with gzip.GzipFile(output, "wb", mtime=0) as target:
        target.write(json.dumps(content, sort_keys=True).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
