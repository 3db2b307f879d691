import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellferry.engines.local.evidence import Evidence
from cellferry.engines.local.knowledge.base import CellType, Knowledge, Marker
from cellferry.engines.local.profiles import INHERITANCE, TIER_WEIGHT, Profiles
from cellferry.engines.local.score import SHRINKAGE, SILENT_HALF, Signal, score_types
from local_tables import KNOWLEDGE, listed, table

HUMAN = Profiles.from_knowledge(KNOWLEDGE, "human")


def cell_type(name, genes="", parents=(), negative="", kind="type"):
    def markers(text):
        return tuple(Marker(tuple(g[:-1].split("/")), int(g[-1])) for g in text.split())

    signs = {"human": markers(genes)}, {"human": markers(negative)}
    return CellType(name, parents=parents, kind=kind, positive=signs[0], negative=signs[1])


def profiles(*types):
    return Profiles.from_knowledge(Knowledge(types), "human")


def scored(found, markers, cluster=0, genes=None):
    evidence = Evidence.from_markers(markers, 50, genes)
    return score_types(found, Signal.read(found, evidence, cluster))


def fits(found, markers, **options):
    return dict(zip(found.names, scored(found, markers, **options).fit, strict=True))


def test_fit_is_the_formula_of_the_module():
    found = profiles(cell_type("A", "X3 Y1"))
    markers = table({"0": ["X"]}, fold=1.0, inside=0.3, outside=0.1, filler=0)
    scores = scored(found, markers, genes=["X", "Y", "Z", "Q"])
    weights = np.array([TIER_WEIGHT[3], TIER_WEIGHT[1]])
    strength = np.array([0.5, 0.0])
    mean = 0.5 / 4
    deviation = np.sqrt(0.25 / 4 - mean**2)
    total = weights @ (strength - mean)
    # Y is left out of a list of one gene, where it would hardly have been named.
    expected = weights * np.array([1.0, 1 / (1 + SILENT_HALF)])
    assert scores.fit[0] == pytest.approx(total / np.sqrt(expected @ expected + SHRINKAGE))
    expected = total / (deviation * np.sqrt(weights @ weights))
    assert scores.significance[0] == pytest.approx(expected)


def test_markers_of_ancestors_are_inherited_at_a_reduced_weight():
    found = profiles(
        cell_type("A", "X3"), cell_type("B", "Y3", ("A",)), cell_type("C", "Z3", ("B",))
    )
    row = found.names.index("C")
    inherited = {g: found.positive[row, found.genes.index(g)] for g in "XYZ"}
    assert inherited == pytest.approx({"X": INHERITANCE**2, "Y": INHERITANCE, "Z": 1.0})
    assert found.own[row].sum() == pytest.approx(1.0)


def test_a_parent_fits_better_than_a_child_without_evidence_and_worse_than_one_with():
    found = profiles(
        cell_type("Parent", "X3 Y3 Z3"),
        cell_type("Silent", "A3 B3 C3", ("Parent",)),
        cell_type("Shown", "D3 E3 F3", ("Parent",)),
    )
    fit = fits(found, table({"0": list("XYZDEF")}))
    assert fit["Shown"] > fit["Parent"] > fit["Silent"]


def test_shared_genes_count_less_and_relatives_count_once():
    found = profiles(
        cell_type("A", "X3 S3"),
        cell_type("B", "Y3 S3"),
        cell_type("Child of A", "S3", ("A",)),
    )
    column = {g: i for i, g in enumerate(found.genes)}
    assert found.specificity[column["X"]] == 1
    assert found.specificity[column["S"]] == pytest.approx(1 / np.sqrt(2))


def test_a_type_without_shared_genes_changes_no_other():
    types = (cell_type("A", "X3 Y3"), cell_type("B", "Y3 Z3"))
    markers = table({"0": ["X", "Y"], "1": ["Z"]})
    before = fits(profiles(*types), markers)
    after = fits(profiles(*types, cell_type("Other organ", "U3 V3 W3")), markers)
    assert {name: after[name] for name in before} == pytest.approx(before)


def test_negative_markers_lower_the_fit_only_where_they_are_raised():
    plain, strict = cell_type("Plain", "X3 Y3"), cell_type("Strict", "X3 Y3", negative="N1")
    found = profiles(plain, strict)
    without = fits(found, table({"0": ["X", "Y"]}))
    assert without["Strict"] == pytest.approx(without["Plain"])
    raised = fits(found, table({"0": ["X", "Y", "N"]}))
    assert raised["Strict"] < raised["Plain"]


def test_a_negative_marker_of_an_ancestor_is_not_held_against_a_type_that_lists_it():
    found = profiles(cell_type("A", "X3", negative="Y1"), cell_type("B", "Y3", ("A",)))
    assert not found.negative[found.names.index("B")].any()


def test_other_names_of_a_gene_are_found():
    found = profiles(cell_type("Platelet", "CAVIN2/SDPR3 PF43"))
    old, new = (fits(found, table({"0": [g, "PF4"]})) for g in ("SDPR", "CAVIN2"))
    assert old == pytest.approx(new)


def test_genes_that_were_not_measured_do_not_count_against_a_type():
    found = profiles(cell_type("A", "X3 Y3 Z3 Q3"))
    markers = table({"0": ["X", "Y"]})
    filler = [g for g in markers.gene if g.startswith("FILLER")]
    measured = fits(found, markers, genes=["X", "Y", "Z", "Q", *filler])
    not_measured = fits(found, markers, genes=["X", "Y", *filler])
    assert not_measured["A"] > measured["A"]


def test_a_gene_that_all_clusters_express_is_not_silent():
    found = profiles(cell_type("A", "X3 Y3 Z3"))
    silent = table({"0": ["X", "Y"], "1": ["Z"]})
    expressed = table({"0": ["X", "Y", "Z"]})
    everywhere = np.array(expressed.gene) == "Z"
    expressed.avg_log2fc[everywhere] = 0.0
    expressed.pct_1[everywhere] = 0.9
    assert fits(found, expressed)["A"] > fits(found, silent)["A"]


def test_long_lists_are_not_favoured():
    """Under random genes neither the mean nor the spread of the fit grows with the list."""
    generator = np.random.default_rng(1)
    universe = [f"G{i}" for i in range(2000)]
    types = [
        cell_type(f"{size} {i}", " ".join(f"{g}3" for g in generator.choice(universe, size, False)))
        for size in (5, 20, 100)
        for i in range(150)
    ]
    raised = generator.choice(universe, 200, replace=False)
    scores = scored(profiles(*types), table({"0": list(raised)}, filler=0), genes=universe)
    sizes = np.array([int(t.name.split()[0]) for t in types])
    for size in (5, 20, 100):
        assert abs(scores.fit[sizes == size].mean()) < 0.1
        assert scores.significance[sizes == size].std() == pytest.approx(1, abs=0.25)
    assert scores.fit[sizes == 100].max() < 1.6 * scores.fit[sizes == 5].max() + 0.3


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_every_type_of_the_packaged_table_is_found_by_its_own_markers(species):
    """A knowledge table in which a type loses against a stranger on its own list is wrong."""
    found = Profiles.from_knowledge(KNOWLEDGE, species)
    for known in KNOWLEDGE.types:
        if known.kind != "type" or species not in known.positive:
            continue
        above = [g for a in KNOWLEDGE.ancestors[known.name] for g in _listed(a, species)]
        scores = scored(found, table({"0": [*listed(known.name, species), *above]}))
        best = found.names[int(np.argmax(scores.fit))]
        assert KNOWLEDGE.related(best, known.name), (known.name, best)


def _listed(name, species):
    return listed(name, species) if species in KNOWLEDGE.by_name[name].positive else []


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(HUMAN.genes), unique=True, max_size=40))
def test_scores_are_finite_for_any_genes(genes):
    scores = scored(HUMAN, table({"0": genes}))
    for values in (scores.fit, scores.own_fit, scores.significance, scores.own_significance):
        assert np.isfinite(values).all()


def test_what_a_short_list_leaves_out_is_hardly_silent():
    found = profiles(cell_type("A", "X3 Y3 Z3 Q3 R3 S3 T3"))
    short = table({"0": ["X", "Y", "Z"]}, filler=0)
    long = table({"0": ["X", "Y", "Z", *(f"GENE{i}" for i in range(2000))]}, filler=0)
    least, most = scored(found, long), scored(found, short)
    assert most.fit[0] > 1.2 * least.fit[0]
    silent = [most.signal.expected[found.genes.index(g)] for g in "QRST"]
    assert max(silent) < 0.1 < 0.9 * most.signal.expected[found.genes.index("X")]
