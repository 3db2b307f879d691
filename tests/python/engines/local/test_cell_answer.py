from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_data import GENES, cells
from cellferry.engines.local.cells.answer import BLOCK_ROWS, CellScorer, hierarchy_of, row_blocks
from cellferry.engines.local.knowledge.packaged import packaged_knowledge

MATRIX = cells(30, seed=3).layers["counts"]
NAMES = tuple(f"cell-{i}" for i in range(30))
SCORER = CellScorer(packaged_knowledge(), "human", GENES, counts=True)


def answer(edges_inside):
    edges = [0, *sorted(edges_inside), MATRIX.shape[0]]
    blocks = [(a, MATRIX[a:b]) for a, b in pairwise(edges)]
    return SCORER.answer(NAMES, [c for _, c in SCORER.choices(blocks)], {})


@settings(deadline=None, max_examples=20)
@given(st.sets(st.integers(1, 29)))
def test_any_blocks_give_the_same_answer(edges_inside):
    assert answer(edges_inside).to_frame().equals(answer([]).to_frame())


def test_fits_made_before_are_used():
    fits = SCORER.fits(MATRIX)[::-1].copy()
    found = [c for _, c in SCORER.choices([(0, MATRIX)], lambda a, b: fits[a:b])]
    direct = SCORER.choose(MATRIX, fits)
    assert np.array_equal(found[0].label, direct.label)


def test_large_blocks_are_read_in_pieces():
    from scipy.sparse import csr_matrix

    big = csr_matrix((BLOCK_ROWS + 5, 2))
    assert [(s, b.shape[0]) for s, b in row_blocks([(7, big)])] == [(7, BLOCK_ROWS),
                                                                   (7 + BLOCK_ROWS, 5)]  # fmt: skip


def test_the_hierarchy_is_built_once_for_a_table():
    table = packaged_knowledge()
    assert hierarchy_of(table, "human") is hierarchy_of(table, "human")
    assert SCORER.n_markers == 15
    assert SCORER.n_types > 50
