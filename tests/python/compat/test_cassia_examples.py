from cellferry.compat.cassia_examples import EXAMPLES, GENES, example_table
from cellferry.study.markers.read import read_markers


def test_both_examples_are_the_same_genes_in_two_formats():
    tables = [read_markers(example_table(name)) for name in EXAMPLES]
    assert [t.source for t in tables] == ["seurat", "list"]
    for table in tables:
        chosen = table.select()
        assert {name: s.genes for name, s in chosen.items()} == GENES
