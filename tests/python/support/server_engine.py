"""A language model that the tests plug into a server: slow, countable, breakable."""

import hashlib
import os
import time
from pathlib import Path

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.engines import ENGINES
from cellferry.engines.base import Capabilities, Plan
from cellferry.errors import CredentialsRequiredError

PLUG = "import server_engine; server_engine.plug()"


def plug():
    """Register the engine as "llm" in this process."""
    ENGINES["llm"] = {"clusters": "server_engine:SlowModel"}


class SlowModel:
    """Answers one cluster after another; counts its calls in a file."""

    name = "llm"

    def __init__(
        self, *, llm_configs, max_workers, evidence_rounds=0, evidence_columns=(), remarks=None
    ):
        self.configs, self.max_workers = llm_configs, max_workers

    @property
    def capabilities(self):
        return Capabilities(sends=frozenset({"markers"}), host="api.openai.com")

    def describe(self):
        return {"models": [c["name"] for c in self.configs]}

    def plan(self, study):
        return Plan("llm", len(study.clusters.names))

    def run(self, study, run, events):
        if any(c["apiKey"] == "wrong" for c in self.configs):
            raise CredentialsRequiredError("The key was refused.")
        finished = run.finished()
        rows = []
        for done, cluster in enumerate(study.clusters.names, 1):
            events.check()
            key = hashlib.sha256(cluster.encode()).hexdigest()
            if cluster == "broken":
                raise RuntimeError("a fault of one cluster")
            if key not in finished:
                time.sleep(float(os.environ.get("SLOW_MODEL_SECONDS", "0")))
                if os.environ.get("SLOW_MODEL_CALLS"):
                    with Path(os.environ["SLOW_MODEL_CALLS"]).open("a") as calls:
                        calls.write(f"{cluster}\n")
                run.record(cluster, key, {"label": f"label {cluster}"})
            rows.append(Annotation(cluster, "ok", label=f"label {cluster}", engine="llm"))
            events.emit("progress", done=done, total=len(study.clusters.names), unit=cluster)
        return Annotations(tuple(rows))
