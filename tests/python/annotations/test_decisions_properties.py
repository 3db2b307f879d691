"""Whatever happens to an object: a decision is never on a cell that was not in its set."""

import random

import anndata
import numpy as np
import pandas as pd
import pytest

import cellferry
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.decisions.decision import names_hash
from cellferry.annotations.labelling.objects import attach
from cellferry.errors import CellferryError
from cellferry.study.clusters import Clusters

LABELS = ["B cell", "T cell", "monocyte", "Kupffer cell", "hepatocyte", "my own type"]


def fresh(rng, n=60):
    adata = anndata.AnnData(np.zeros((n, 1)))
    adata.obs_names = [f"c{i}" for i in range(n)]
    cluster(adata, rng)
    return adata


def cluster(adata, rng):
    k = rng.randint(1, 6)
    adata.obs["leiden"] = pd.Categorical([str(rng.randrange(k)) for _ in range(adata.n_obs)])


def run(adata, rng):
    clusters = Clusters.from_column(adata.obs["leiden"])
    rows = tuple(
        Annotation(
            name,
            "ok",
            n_cells=n,
            label=rng.choice(LABELS[:4]),
            confidence=round(rng.random(), 3),
            confidence_kind="graded",
        )
        for name, n in clusters.counts().items()
    )
    found = Annotations(rows, provenance={"key": "cell_type", "group_key": "leiden"})
    attach(adata, found, clusters, "cell_type")


class Witness:
    """Remembers by itself which cells each decision was about, through changes of name."""

    def __init__(self):
        self.sets = {}
        self.all = {}

    def saw(self, adata, decision, names):
        ids = {adata.obs["identity"][n] for n in names}
        self.sets[decision.id] = ids
        self.all[decision.id] = decision


def check(adata, witness):
    record = cellferry.read_annotations(adata)
    known = {d.id for d in record.decisions}
    assert set(witness.all) <= known, "a decision was lost"
    obs = adata.obs
    if "cell_type_decision" not in obs:
        return
    labelled = obs["cell_type_decision"].isin(["relabelled", "accepted", "unknown"])
    for name in obs.index[labelled]:
        label, action = obs.loc[name, "cell_type"], obs.loc[name, "cell_type_decision"]
        own = [
            d
            for i, d in witness.all.items()
            if obs.loc[name, "identity"] in witness.sets[i]
            and d.action == action
            and (d.label or "Unknown") == label
        ]
        assert own, f"{name} has {label}, which nobody decided about a set that it was in"


def decide(adata, rng, witness):
    record = cellferry.read_annotations(adata)
    clusters = [r.cluster for r in record if r.n_cells]
    if not clusters:
        return
    before = {d.id for d in record.decisions}
    obs = adata.obs
    if rng.random() < 0.3:
        names = rng.sample(list(adata.obs_names), rng.randint(1, min(5, adata.n_obs)))
        made = cellferry.set_labels(adata, rng.choice(LABELS), cells=names)
    else:
        cluster_name = rng.choice(clusters)
        label = rng.choice([*LABELS, "Unknown"])
        made = cellferry.set_labels(adata, {cluster_name: label})
        names = list(obs.index[obs["leiden"].astype(str) == cluster_name])
    for d in made.decisions:
        if d.id not in before:
            # Names in the object as they were given; a cluster's are those of the clustering,
            # where that is still the one of the labels.
            own = list(d.cells) if d.of_cells else names
            if not d.of_cells and names_hash(own) != d.hash:
                own = [
                    n
                    for n in obs.index
                    if obs.loc[n, "cell_type_decision"] == d.action
                    and obs.loc[n, "cell_type"] == (d.label or "Unknown")
                ]
            witness.saw(adata, d, own)


def withdraw(adata, rng, witness):
    record = cellferry.read_annotations(adata)
    own = [r.cluster for r in record if r.decision not in {None, "stale"} and r.n_cells]
    if own:
        before = {d.id for d in record.decisions}
        made = cellferry.withdraw_decision(adata, rng.choice(own))
        for d in made.decisions:
            if d.id not in before:
                witness.saw(adata, d, [])


def rename(adata, rng):
    start = rng.choice("xyz")
    adata.obs_names = [f"{start}{n}" for n in adata.obs_names]


def renumber(adata, rng):
    old = list(adata.obs["leiden"].cat.categories)
    new = rng.sample([f"n{i}" for i in range(20)], len(old))
    adata.obs["leiden"] = adata.obs["leiden"].cat.rename_categories(
        dict(zip(old, new, strict=True))
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(60))
def test_no_decision_reaches_a_cell_that_was_not_in_its_set(seed):
    rng = random.Random(seed)
    adata = fresh(rng)
    adata.obs["identity"] = list(adata.obs_names)
    run(adata, rng)
    witness = Witness()
    for _ in range(25):
        what = rng.choice(["run", "subset", "rename", "recluster", "renumber", "decide", "decide",
                           "withdraw", "file"])  # fmt: skip
        try:
            if what == "run":
                run(adata, rng)
            elif what == "subset" and adata.n_obs > 8:
                kept = sorted(rng.sample(range(adata.n_obs), int(adata.n_obs * 0.9)))
                adata = adata[kept].copy()
            elif what == "rename":
                rename(adata, rng)
            elif what == "recluster":
                cluster(adata, rng)
                run(adata, rng)
            elif what == "renumber":
                renumber(adata, rng)
                run(adata, rng)
            elif what == "decide":
                decide(adata, rng, witness)
            elif what == "withdraw":
                withdraw(adata, rng, witness)
            elif what == "file":
                adata = anndata.AnnData(adata.X, obs=adata.obs.copy(), uns=dict(adata.uns))
        except CellferryError as error:
            if error.code not in {"labels_edited", "invalid_option", "annotations"}:
                raise
        check(adata, witness)
