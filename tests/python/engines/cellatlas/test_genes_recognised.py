import pytest

from cellferry.engines.cellatlas.quality import check_genes
from cellferry.errors import GeneIdentifiersError, language


def test_the_overlap_is_measured():
    assert check_genes(["CD3E", "CD19", "NOT-A-GENE1"], "human") == {
        "genes": 3, "recognised": 2, "of": "human symbols",
    }  # fmt: skip
    assert check_genes(["Cd3e", "Cd19"], "mouse")["of"] == "mouse symbols"


def test_names_of_several_columns_are_refused():
    with pytest.raises(GeneIdentifiersError, match='several columns \\("CD3E"\\)'):
        check_genes(["CD3E", "CD19", "CD3E"], None)


def test_identifiers_are_refused():
    with pytest.raises(GeneIdentifiersError, match="ensembl identifiers"):
        check_genes([f"ENSG{i:011d}" for i in range(9)], None)


@pytest.mark.parametrize("genes", [["CD3E", "CD19", "CD3E"], [f"ENSG{i:011d}" for i in range(9)]])
def test_the_line_that_mends_them_is_of_the_language_of_the_user(genes):
    hints = {}
    for name in ("python", "r", "cli"):
        token = language.set(name)
        try:
            with pytest.raises(GeneIdentifiersError) as caught:
                check_genes(genes, None)
        finally:
            language.reset(token)
        hints[name] = caught.value.hint
    assert "adata.var_names" in hints["python"]
    assert "adata" not in hints["r"]
    assert "rownames(counts)" in hints["r"]
