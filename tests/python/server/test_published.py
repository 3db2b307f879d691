"""The published clients complete a job, unchanged."""

import json
import subprocess

import anndata
import numpy as np
import pytest

from cellferry import annotate_clusters
from cellferry.biology.lineage import levels_of
from cellferry.biology.ontology import cell_ontology
from published import SCRIPT, client, plain
from review_pages import index_of, values_of
from server_process import ServerProcess

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def source(ranked_blood, tmp_path_factory):
    """Scanpy's blood cells as a user of the client has them: symbols, ranked, log-normalized."""
    folder = tmp_path_factory.mktemp("published")
    adata = ranked_blood.raw.to_adata()
    adata.uns = {"rank_genes_groups": ranked_blood.uns["rank_genes_groups"]}
    adata.var = adata.var.assign(gene_symbols=adata.var_names.astype(str))
    adata.write_h5ad(folder / "blood.h5ad")
    return folder / "blood.h5ad"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ServerProcess(tmp_path_factory.mktemp("published-data") / "data") as found:
        yield found


def the_report_has_every_gene(server, job, source):
    """The page of the job is live: any gene, any column, of all cells."""
    adata = anndata.read_h5ad(source)
    page = server.client.get(f"/report/{job}")
    index = index_of(page.text)
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert (index["n_cells"], index["genes"]["n"]) == adata.shape
    names = server.client.get(f"/data/{job}/page/genes").content.decode().split("\n")
    at = names.index("CD79A")
    shown = values_of(server.client.get(f"/data/{job}/page/gene/{at}").content)
    values = adata[:, "CD79A"].X
    values = np.ravel(values.toarray() if hasattr(values, "toarray") else values)
    np.testing.assert_allclose(shown, values, atol=values.max() / 500)
    assert server.client.get(f"/data/{job}/page/summary").status_code == 200
    column = [c["name"] for c in index["cells"]["columns"]].index("louvain")
    codes = np.frombuffer(server.client.get(f"/data/{job}/page/column/{column}").content, "<u2")
    levels = index["cells"]["columns"][column]["levels"]
    assert [levels[c] for c in codes] == adata.obs["louvain"].astype(str).tolist()


@pytest.mark.parametrize("version", ["0.12.0", "0.19.4", "0.21.0"])
def test_a_published_client_completes_a_job(version, source, server, tmp_path, ranked_blood):
    python = client(version)
    environment = {**plain(), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [python, "-c", SCRIPT, server.url, source, version],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [t for t in done.stdout.splitlines() if t.startswith("FOUND")]
    found = json.loads(line.removeprefix("FOUND"))
    clusters = list(ranked_blood.obs["louvain"].cat.categories)
    assert list(found["labels"]) == clusters
    assert {len(labels) for labels in found["labels"].values()} == {1}

    # Every cluster has the label that this package gives its list of genes; the server also has the
    # shares of cells, by which one label may be another of the same type.
    names = ranked_blood.uns["rank_genes_groups"]["names"]
    lists = {c: [str(g) for g in names[c][:50]] for c in clusters}
    expected = annotate_clusters(lists, tissue="blood", progress=False).labels()
    given = {c: labels[0] for c, labels in found["labels"].items()}
    differing = [(given[c], expected[c]) for c in clusters if given[c] != expected[c]]
    assert len(differing) <= 1
    ids = [[cell_ontology().find(label).term.id for label in pair] for pair in differing]
    assert all(levels_of(one)[1] == levels_of(other)[1] for one, other in ids)

    results = found["results"]
    assert len(results["annotations"]) == len(clusters)
    for row in results["annotations"]:
        assert row["justification"]
        assert row["supportingMarkers"]
    if version != "0.12.0":
        raw = results["raw_annotations"]["0"]["latest"]["annotation"]
        assert raw["fullOutput"]["cellType"]["expressionEvidence"]["source"] == "vars.h5"
        assert results["clusterCategories"]
        the_report_has_every_gene(server, found["job"], source)
    if version == "0.21.0":
        assert "cytetype_reviewerConfidence_louvain" in found["columns"]
