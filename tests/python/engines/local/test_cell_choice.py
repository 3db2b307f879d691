import numpy as np
from scipy.sparse import csr_matrix

from cellferry.engines.local.cells.answer import hierarchy_of
from cellferry.engines.local.cells.choice import Chooser
from cellferry.engines.local.cells.scores import CellProfiles
from cellferry.engines.local.knowledge.packaged import packaged_knowledge

HIERARCHY = hierarchy_of(packaged_knowledge(), "human")
GENES = list(HIERARCHY.profiles.genes)
PROFILES = CellProfiles.for_genes(HIERARCHY.profiles, GENES)
CHOOSER = Chooser(HIERARCHY, PROFILES)


def choose(*expressed):
    """Answer one cell for each list of genes (all at a value of 3)."""
    values = np.zeros((len(expressed), len(GENES)))
    for row, genes in enumerate(expressed):
        values[row, [GENES.index(g) for g in genes]] = 3
    strengths = PROFILES.strengths(csr_matrix(values), counts=False)
    return CHOOSER.choose(PROFILES.fits(strengths), strengths)


def names(codes):
    return [None if c < 0 else HIERARCHY.profiles.names[c] for c in codes]


def test_clear_cells_are_named():
    found = choose(
        ["CD79A", "MS4A1", "CD79B", "CD19", "BANK1"], ["CD3D", "CD3E", "CD3G", "CD2", "TRAC"]
    )
    assert names(found.label) == ["B cell", "T cell"]
    assert (found.confidence > 0.5).all()


def test_thin_evidence_is_unknown():
    found = choose([], ["CD3E"], ["CD79A", "CD3E"])
    assert names(found.label) == [None, None, None]
    assert np.isnan(found.confidence).all()


def test_siblings_that_cannot_be_separated_become_what_they_share():
    one = ["CD3D", "CD3E", "CD3G", "CD2", "TRAC", "CD8A", "CD8B"]
    found = choose([*one, "CD4", "CD40LG"], one)
    broad, fine = (HIERARCHY.index(x) for x in ("T cell", names(found.label)[1]))
    assert names(found.label)[0] == "T cell"
    assert HIERARCHY.inside[fine, broad]
    assert found.detail[0] < 0 or HIERARCHY.inside[found.detail[0], broad]


def test_two_unrelated_lineages_at_once_are_not_sure():
    b, vessel = ["CD79A", "MS4A1", "CD79B", "CD19"], ["PECAM1", "VWF", "CLDN5", "CDH5"]
    both, alone = choose([*b, *vessel], b), choose(b)
    known = [x for x in (*names(both.label), *names(both.alternatives[0])) if x]
    assert any("B cell" in x for x in known)
    assert any("ndothelial" in x for x in known)
    assert not both.confidence[0] >= alone.confidence[0]


def test_supporting_genes_are_expressed_and_strongest_first():
    found = choose(["CD79A", "MS4A1", "CD79B", "CD19", "BANK1", "LYZ"], [])
    genes = [PROFILES.genes[g] for g in found.genes]
    assert found.gene_starts.tolist() == [0, 5, 5]
    assert set(genes) == {"CD79A", "MS4A1", "CD79B", "CD19", "BANK1"}
    weights = PROFILES.positive[found.label[0]][found.genes]
    assert (np.diff(weights) <= 0).all()


def test_no_cells_and_no_markers():
    assert len(choose().label) == 0
    nothing = CellProfiles.for_genes(HIERARCHY.profiles, ["x"])
    strengths = nothing.strengths(csr_matrix(np.ones((2, 1))), counts=False)
    found = Chooser(HIERARCHY, nothing).choose(nothing.fits(strengths), strengths)
    assert found.label.tolist() == [-1, -1]
    assert found.gene_starts.tolist() == [0, 0, 0]
