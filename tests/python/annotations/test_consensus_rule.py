"""The rule of a consensus: its definition, written once more without arrays, and its properties."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from cellferry.annotations.agreement.rule import answers
from cellferry.annotations.agreement.terms import Resolver, folded
from cellferry.biology.ontology import TOO_GENERAL, Ontology, Term, cell_ontology
from cellferry.errors import InvalidOptionError

REAL = cell_ontology()
REAL.kinds("CL:0000000")  # counted once: it takes longer than a test may
IN_USE = sorted(i for i, t in REAL.terms.items() if not t.obsolete)


@st.composite
def random_ontologies(draw):
    """A DAG of up to nine terms: each has parents among those before it."""
    n = draw(st.integers(2, 9))
    terms = {}
    for i in range(n):
        above = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else ()
        name = f"CL:{i:07d}"
        terms[name] = Term(name, f"t{i}", parents=tuple(f"CL:{p:07d}" for p in sorted(above)))
    return Ontology(terms)


@st.composite
def cases(draw, agreeing=False):
    """An ontology, what is too general in it, and votes of up to five groups.

    Those that are agreeing have two groups that say the same, and often an answer.
    """
    if draw(st.booleans()):
        ontology = draw(random_ontologies())
        general = draw(st.sets(st.sampled_from(sorted(ontology.terms)), max_size=2))
        pool = sorted(ontology.terms)
    else:
        ontology, general = "real", TOO_GENERAL
        leaf = draw(st.sampled_from(IN_USE))
        other = draw(st.sampled_from(IN_USE))
        pool = sorted({leaf, other, *REAL.ancestors(leaf), *REAL.ancestors(other)})
    pool = [*pool, "text:mine", "text:other"]
    vote = st.lists(st.sampled_from(pool), max_size=3, unique=True)
    votes = draw(st.lists(vote, min_size=1, max_size=5))
    if agreeing:
        first = draw(st.sampled_from([t for t in pool if t.startswith("CL:")]))
        votes = [[first], [first], *votes[:2]]
    # The real ontology is named: nobody wants to read it in a failure.
    return ontology, frozenset(general), {f"g{i}": terms for i, terms in enumerate(votes)}


def known(ontology):
    return REAL if ontology == "real" else ontology


def judged(ontology, general, votes):
    """Return the answers for one row; the distinct terms of a group share its weight."""
    ontology = known(ontology)
    terms = sorted({t for of_group in votes.values() for t in of_group}) or ["text:nobody"]
    groups = {
        name: csr_array([[of_group.count(t) and 1 / len(set(of_group)) for t in terms]])
        for name, of_group in votes.items()
    }
    return answers(terms, groups, ontology=ontology, too_general=general)


def is_a(ontology, one, other):
    ontology = known(ontology)
    return one == other or (
        not one.startswith("text:")
        and one in ontology
        and not other.startswith("text:")
        and ontology.is_a(one, other)
    )


def figures(ontology, votes, term):
    """S, C, K and the groups behind a term, from the definition, in exact fractions."""
    support = compatible = total = Fraction(0)
    backing = 0
    for of_group in votes.values():
        for vote in set(of_group):
            weight = Fraction(1, len(set(of_group)))
            total += weight
            if is_a(ontology, vote, term):
                support += weight
            elif is_a(ontology, term, vote):
                compatible += weight
        backing += any(is_a(ontology, vote, term) for vote in of_group)
    return support, compatible, total - support - compatible, backing


def by_definition(ontology, general, votes):
    ontology = known(ontology)
    voted = sum(map(bool, votes.values()))
    found = []
    everything = {t for of_group in votes.values() for t in of_group}
    above = {a for t in everything if t in ontology for a in ontology.ancestors(t)}
    for term in everything | above:
        if term in general:
            continue
        support, compatible, rest, backing = figures(ontology, votes, term)
        whole = support + compatible + rest
        if support > rest and 3 * (support + compatible) >= 2 * whole and backing >= min(2, voted):
            kinds = 1
            if term in ontology:
                kinds = (
                    sum(is_a(ontology, t, term) for t in ontology.terms if not ontology[t].obsolete)
                    if len(ontology.terms) < 50
                    else ontology.kinds(term)
                )
            found.append((kinds, -support, term))
    return min(found)[2] if found else None


@settings(deadline=None)
@given(cases())
def test_it_is_what_the_definition_says(case):
    ontology, general, votes = case
    found = judged(ontology, general, votes)
    wanted = by_definition(ontology, general, votes)
    assert found.answer == (wanted,)
    if wanted is None:
        assert math.isnan(found.agreement[0])
        assert math.isnan(found.compatible[0])
        return
    support, compatible, rest, _ = figures(ontology, votes, wanted)
    assert found.agreement[0] == pytest.approx(float(support / (support + rest)))
    whole = support + compatible + rest
    assert found.compatible[0] == pytest.approx(float((support + compatible) / whole))


@settings(deadline=None)
@given(cases(), st.randoms())
def test_the_order_of_engines_changes_nothing(case, random):
    ontology, general, votes = case
    one = judged(ontology, general, votes)
    shuffled = list(votes.items())
    random.shuffle(shuffled)
    renamed = {name: random.sample(terms, len(terms)) for name, terms in shuffled}
    other = judged(ontology, general, renamed)
    assert one.answer == other.answer
    np.testing.assert_array_equal(one.agreement, other.agreement)
    np.testing.assert_array_equal(one.entropy, other.entropy)
    assert one.ranked(0) == other.ranked(0)


@settings(deadline=None)
@given(cases())
def test_unknown_changes_no_label(case):
    ontology, general, votes = case
    one, other = (judged(ontology, general, v) for v in (votes, {**votes, "more": []}))
    assert one.answer == other.answer
    np.testing.assert_array_equal(one.agreement, other.agreement)
    np.testing.assert_array_equal(one.n_groups, other.n_groups)


@settings(deadline=None)
@given(cases(agreeing=True), st.data())
def test_a_compatible_broader_vote_never_makes_an_answer_of_two_groups_broader(case, data):
    ontology, general, votes = known(case[0]), *case[1:]
    answer = judged(ontology, general, votes).answer[0]
    assume(answer is not None and answer in ontology)
    assume(figures(ontology, votes, answer)[3] >= 2)
    broader = data.draw(st.sampled_from(sorted({answer, *ontology.ancestors(answer)})))
    after = judged(ontology, general, {**votes, "more": [broader]}).answer[0]
    assert after is not None
    assert after.startswith("text:") or ontology.kinds(after) <= ontology.kinds(answer)


@settings(deadline=None)
@given(cases(agreeing=True), st.booleans())
def test_one_more_vote_for_the_answer_never_lowers_its_agreement(case, in_a_group):
    ontology, general, votes = case
    found = judged(ontology, general, votes)
    answer = found.answer[0]
    assume(answer is not None)
    name = "g0" if in_a_group else "more"
    # A group that said it already says nothing new.
    more = {**votes, name: list(dict.fromkeys([*votes.get(name, []), answer]))}
    before, after = (figures(ontology, v, answer) for v in (votes, more))
    assert after[0] / (after[0] + after[2]) >= before[0] / (before[0] + before[2])


@settings(deadline=None)
@given(cases())
def test_figures_are_within_their_bounds(case):
    found = judged(*case)
    for numbers in (found.agreement, found.compatible):
        assert np.isnan(numbers[0]) or 0 <= numbers[0] <= 1
    if found.answer[0] is not None:
        assert found.agreement[0] > 0.5
        assert found.compatible[0] >= 2 / 3 - 1e-9
    leaders = found.ranked(0)
    assert sum(w for _, w in leaders) == pytest.approx(sum(map(bool, case[2].values())))
    for one, _ in leaders:
        assert not any(one != other and is_a(case[0], one, other) for other, _ in leaders)
    assert np.isnan(found.entropy[0]) or found.entropy[0] <= math.log2(max(len(leaders), 1)) + 1e-9


@settings(deadline=None)
@given(st.lists(cases(), min_size=2, max_size=5))
def test_rows_are_judged_each_by_itself(several):
    several = [c for c in several if c[0] == "real"]
    assume(len(several) > 1)
    names = sorted({g for _, _, votes in several for g in votes})
    terms = sorted({t for _, _, v in several for of in v.values() for t in of})
    assume(terms)
    groups = {}
    for name in names:
        rows = [[(t in v.get(name, [])) and 1 / len(v[name]) for t in terms] for _, _, v in several]
        groups[name] = csr_array(np.array(rows, dtype=float))
    found = answers(terms, groups)
    for i, (ontology, general, votes) in enumerate(several):
        one = judged(ontology, general, votes)
        assert found.answer[i] == one.answer[0]
        np.testing.assert_allclose(found.agreement[i], one.agreement[0])


def real(**votes):
    return judged(REAL, TOO_GENERAL, {k: [v] if v else [] for k, v in votes.items()})


T, CD4, B, NK, LYMPHOCYTE = "CL:0000084", "CL:0000624", "CL:0000236", "CL:0000623", "CL:0000542"
FIBROBLAST = "CL:0000057"


def test_nothing_plus_two_that_agree_is_what_they_agree_on():
    """scpca-nf's table of pairs made Unknown of it (their issue 1158)."""
    found = real(a=None, b=T, c=T)
    assert (found.answer[0], found.agreement[0]) == (T, 1)


def test_two_that_differ_are_what_both_are_kinds_of():
    assert real(a=T, b=B).answer == (LYMPHOCYTE,)
    assert real(a=T, b=B).entropy[0] == 1


def test_what_is_only_a_cell_is_no_answer():
    found = real(a=T, b=FIBROBLAST)
    assert found.answer == (None,)
    assert [t for t, _ in found.ranked(0)] == [FIBROBLAST, T]


def test_the_narrower_needs_two_groups():
    assert real(a=T, b=CD4).answer == (T,)
    assert real(a=T, b=CD4, c=CD4).answer == (CD4,)
    assert real(a=CD4).answer == (CD4,)


def test_a_majority_is_answered_and_the_rest_dissents():
    found = real(a=T, b=T, c=FIBROBLAST)
    assert found.answer == (T,)
    assert found.agreement[0] == pytest.approx(2 / 3)


def test_confidence_decides_between_equals_only():
    """Two parents of one term have equal weight: the more confident vote's comes first."""
    ontology = Ontology({i: Term(i, i, parents=p) for i, p in {
        "CL:0": (), "CL:1": ("CL:0",), "CL:2": ("CL:0",), "CL:3": ("CL:1",), "CL:4": ("CL:2",),
        "CL:5": ("CL:1", "CL:2"),
    }.items()})  # fmt: skip
    terms = ["CL:3", "CL:4", "CL:5"]
    groups = {
        g: csr_array([[float(t == v) for t in terms]])
        for g, v in {"a": "CL:3", "b": "CL:4", "c": "CL:5", "d": "CL:5"}.items()
    }

    def best(sure):
        return answers(
            terms, groups, np.array([sure]), ontology=ontology, too_general={"CL:5", "CL:0"}
        ).answer[0]

    nothing = [np.nan] * 3
    assert (best(nothing), best([0.2, 0.9, np.nan]), best([0.9, 0.2, 0.1])) == (
        "CL:1",
        "CL:2",
        "CL:1",
    )


def test_no_term_that_is_too_general_is_gone_from_the_ontology():
    assert all(not REAL[t].obsolete for t in TOO_GENERAL)


@settings(deadline=None)
@given(st.text(st.sampled_from("abcXYZ -_s"), min_size=1, max_size=12))
def test_texts_that_differ_in_case_blanks_and_plural_are_one(text):
    assume(folded(text))
    assert folded(text.upper()) == folded(text.lower()) == folded(f"  {text} ")
    assert folded(folded(text)) == folded(folded(folded(text)))


def test_labels_that_say_nothing_are_no_votes():
    resolver = Resolver()
    for text in (None, "Unknown", "Unassigned", "heterogeneous", "nan", ""):
        assert resolver.term(text) is None
    assert resolver.unresolved == []


def test_an_unresolved_label_comes_with_what_is_near():
    resolver = Resolver()
    assert resolver.term("natural kiler cell") == "text:natural kiler cell"
    assert resolver.explained()["natural kiler cell"][0] == "natural killer cell (CL:0000623)"


def test_a_mapping_to_no_term_is_refused():
    with pytest.raises(InvalidOptionError, match="which is no term"):
        Resolver({"a": "no cell"})
