"""An engine of cells in a cluster call: each cluster is what most of its cells are."""

import numpy as np
import pytest

from atlas_server import AtlasServer
from cell_data import cells
from cellferry import annotate_clusters, errors, resume
from cellferry.annotations.cells import CELLS_FILE, CellAnnotations
from cellferry.engines import Capabilities, Plan, create_engine
from cellferry.engines.base import Estimates, Extent, Prepares, ReadsContext
from cellferry.engines.local.cells import LocalCells
from cellferry.engines.majority import by_majority
from cellferry.runs.run import Run

pytestmark = pytest.mark.filterwarnings("ignore::cellferry.errors.CellferryWarning")


class ByTruth:
    """Answers each cell with what is given for it."""

    name = "truth"

    def __init__(self, labels):
        self.labels = labels

    @property
    def capabilities(self):
        return Capabilities(answers=frozenset({"cells"}), needs=frozenset({"normalized"}))

    def describe(self):
        return {"labels": self.labels}

    def plan(self, study):
        return Plan(self.name, 0, cells=len(study.cells or ()))

    def run(self, study, run, events):
        events.check()
        n = len(study.cells)
        status = ["unknown" if x == "Unknown" else "ok" for x in self.labels[:n]]
        return CellAnnotations.of(study.cells, self.labels[:n], status=status)


def labels_of(n, *shares):
    """Labels of n cells in turn over three clusters; `shares` are label -> cells of each."""
    made = [None] * n
    for cluster, share in enumerate(shares):
        places = list(range(cluster, n, 3))
        named = [label for label, k in share.items() for _ in range(k)]
        for place, label in zip(places, named, strict=True):
            made[place] = label
    return made


def test_each_cluster_is_what_most_of_its_cells_are_with_the_share():
    given = labels_of(
        60, {"B cell": 15, "T cell": 5}, {"T cell": 20}, {"Monocyte": 8, "X": 6, "Y": 6}
    )
    found = annotate_clusters(
        cells(), engine=ByTruth(given), group_key="leiden", progress=False, tissue="blood"
    )
    assert found.labels() == {"0": "B cell", "1": "T cell", "2": "Monocyte"}
    shares = {c: found.evidence[c]["share"] for c in "012"}
    assert shares == {"0": 0.75, "1": 1.0, "2": 0.4}
    assert found["0"].justification == "15 of 20 answered cells."
    assert found["2"].mixed == ("Monocyte", "X")
    assert {row.engine for row in found} == {"truth"}
    run = Run.open(found.provenance["run"])
    kept = CellAnnotations.load(run.folder / CELLS_FILE)
    assert kept.label.values().tolist() == given


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_cells_changes_no_majority(seed):
    random = np.random.default_rng(seed)
    given = [str(x) for x in random.choice(["B cell", "T cell", "Unknown"], 60, p=[0.5, 0.3, 0.2])]
    adata, order = cells(), random.permutation(60)
    found = annotate_clusters(adata, engine=ByTruth(given), group_key="leiden", progress=False)
    turned = annotate_clusters(
        cells()[order].copy(), engine=ByTruth([given[i] for i in order]), group_key="leiden",
        progress=False,
    )  # fmt: skip
    assert turned.labels() == found.labels()
    assert {c: turned.evidence[c]["share"] for c in "012"} == {
        c: found.evidence[c]["share"] for c in "012"
    }


def test_a_marker_table_has_no_cells():
    with pytest.raises(errors.EngineNeedsError, match='The engine "truth" needs cells'):
        annotate_clusters({"a": ["CD3E"]}, engine=ByTruth([]), progress=False)


def test_the_plan_has_cells_and_clusters():
    plan = annotate_clusters(cells(), engine=ByTruth([]), group_key="leiden", dry_run=True)
    assert (plan.clusters, plan.cells) == (3, 60)


def test_what_the_engine_of_cells_does_beside_is_done_too():
    made = create_engine(
        "cellatlas", {"api_url": "https://atlas.example.org/v1/singlecell/annotate"}
    )
    assert made.capabilities.answers == {"clusters"}
    assert made.capabilities.sends == {"expression"}
    assert isinstance(made, Estimates)
    assert made.estimate(Extent(10, 20)).bytes_sent > 0
    assert isinstance(by_majority(LocalCells()), ReadsContext)
    assert not isinstance(by_majority(LocalCells()), Prepares)
    assert not isinstance(by_majority(ByTruth([])), ReadsContext | Estimates | Prepares)


def test_expression_leaves_with_consent_only_here_too():
    with pytest.raises(errors.UploadNotAllowedError):
        annotate_clusters(
            cells(), engine="cellatlas", group_key="leiden", progress=False,
            api_url="https://atlas.example.org/v1/singlecell/annotate", api_key="k",
        )  # fmt: skip


def test_an_answer_that_is_out_of_place_is_refused():
    class Wrong(ByTruth):
        def run(self, study, run, events):
            found = super().run(study, run, events)
            return CellAnnotations.of(found.cells[::-1], self.labels[:60], status=["ok"] * 60)

    with pytest.raises(errors.InternalError, match="did not answer every cell in its place"):
        annotate_clusters(
            cells(), engine=Wrong(["B cell"] * 60), group_key="leiden", progress=False
        )


def test_a_run_is_gone_on_with_by_the_name_of_its_engine():
    adata = cells()
    with AtlasServer().running() as server:
        found = annotate_clusters(
            adata, engine="cellatlas", group_key="leiden", progress=False, api_url=server.url,
            qc="off",
        )  # fmt: skip
    again = resume(found.provenance["run"], adata, progress=False)
    assert again.labels() == found.labels()
    assert set(found.labels()) == {"0", "1", "2"}
