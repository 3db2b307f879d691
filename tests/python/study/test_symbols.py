import json
import logging

import numpy as np
import pytest

from cellferry import annotate_clusters, errors
from cellferry.annotate.checks import check_study
from cellferry.biology.gene_tables import symbols_by_number
from cellferry.study.expression.matrix import MatrixSource
from cellferry.study.markers.read import read_markers
from cellferry.study.record import study_from_record, study_record
from cellferry.study.study import Clusters, Study
from cellferry.study.symbols import names_by_symbol, symbols_of, with_symbols

IDS = {s: f"ENSG{n:011d}" for n, s in symbols_by_number("human").items()}
B_CELL = [IDS[s] for s in ("CD79A", "MS4A1", "CD79B", "CD19", "PAX5", "BANK1", "CD22")]


def study(markers, **parts):
    return Study(Clusters(("0",)), markers=read_markers({"0": markers}), **parts)


def test_identifiers_become_symbols_everywhere_alike(caplog):
    matrix = np.eye(3)
    names = (B_CELL[0], B_CELL[1], "ENSG99999999999")
    source = MatrixSource(matrix, names)
    with caplog.at_level(logging.INFO, "cellferry"):
        found = with_symbols(study(B_CELL, genes=names, normalized=source))
    assert found.markers.gene.tolist()[:2] == ["CD79A", "MS4A1"]
    assert found.genes == ("CD79A", "MS4A1", "ENSG99999999999")
    assert tuple(found.normalized.genes) == found.genes
    assert found.normalized.shape == (3, 3)
    assert [start for start, _ in found.normalized] == [0]
    assert "7 of 7 were given their symbols" in caplog.text


def test_symbols_stay_as_they_are():
    given = study(["CD79A", "MS4A1"], genes=("CD79A",))
    assert with_symbols(given) is given


def test_a_table_of_which_less_than_half_is_known_is_refused():
    unknown = [f"ENSG9{i:010d}" for i in range(len(B_CELL) + 1)]
    with pytest.raises(errors.GeneIdentifiersError):
        with_symbols(study([*B_CELL, *unknown]))
    with pytest.raises(errors.GeneIdentifiersError):
        with_symbols(study(["ENSXETG00000054690", "ENSXETG00000054691"]))
    with pytest.raises(errors.GeneIdentifiersError, match="Entrez"):
        with_symbols(study(["916", "931"]))


def test_the_species_of_converted_genes_is_settled():
    assert check_study(study(B_CELL)).context.species == "human"


def test_a_table_of_identifiers_is_annotated_like_one_of_symbols():
    found = annotate_clusters({"0": B_CELL}, progress=False)
    assert found["0"].label == "B cell"


def test_the_names_of_the_object_are_kept_where_it_is_asked():
    names = (B_CELL[0], "ENSG99999999999", B_CELL[1])
    assert names_by_symbol(names, ["CD79A", "PPBP"]) == [B_CELL[0]]
    assert names_by_symbol(("CD79A", "PPBP"), ["PPBP"]) == ["PPBP"]
    assert symbols_of(("CD79A",)) == ("CD79A",)


def test_the_object_s_own_names_of_supporting_genes_are_kept():
    names = [f"{g}.7" for g in B_CELL]
    found = annotate_clusters({"0": names}, progress=False)
    supporting = found["0"].supporting
    assert "MS4A1" in supporting
    own = found.provenance["gene_names"]
    assert {own[g] for g in supporting} <= set(names)
    assert own["MS4A1"] == f"{IDS['MS4A1']}.7"


def test_where_genes_are_symbols_nothing_is_kept_of_their_names():
    found = annotate_clusters({"0": ["CD79A", "MS4A1", "CD79B", "CD19"]}, progress=False)
    assert "gene_names" not in found.provenance


def test_the_names_outlive_a_run_that_is_resumed():
    given = with_symbols(study(B_CELL, genes=tuple(B_CELL)))
    again = study_from_record(json.loads(json.dumps(study_record(given))))
    assert again.gene_names == given.gene_names
    assert again.gene_names["MS4A1"] == IDS["MS4A1"]
