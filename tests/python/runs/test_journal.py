import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.errors import RunDamagedError, RunDamagedWarning
from cellferry.runs.journal import Journal
from cellferry.runs.run import Run
from cellferry.runs.sealed import sealed, unsealed
from run_attacks import harm


def objects_of(numbers):
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=8,
    )
    return st.dictionaries(st.text(max_size=5).filter(lambda name: name != "sum"), values)


objects = objects_of(st.floats(allow_nan=False))


@given(objects)
def test_what_was_sealed_is_read_again(content):
    assert unsealed(sealed(content)) == (content, True)


@given(objects_of(st.floats(allow_nan=False, allow_infinity=False)))
def test_the_quick_writer_says_the_same(content):
    assert unsealed(sealed(content, compact=True)) == (content, True)


@pytest.mark.parametrize("content", [{"a": "\ud800"}, {"a": 2**80}])
def test_what_the_quick_writer_refuses_is_written_all_the_same(content):
    assert unsealed(sealed(content, compact=True)) == (content, True)


@given(objects, st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_never_other_content(content, place, bit):
    raw = bytearray(sealed(content))
    raw[place % len(raw)] ^= 1 << bit
    try:
        found, was_sealed = unsealed(bytes(raw))
    except ValueError:
        return
    # What has no seal any more is refused where one was expected.
    assert found == content or not was_sealed


def filled(path, n=12):
    journal = Journal(path)
    for i in range(n):
        journal.append(f"cluster {i}", str(i), {"label": f"type {i}"})
    return journal


@pytest.mark.parametrize("seed", range(60))
def test_damage_costs_the_lines_it_is_in_and_no_other(tmp_path, seed):
    journal = filled(tmp_path / "journal.jsonl")
    before = journal.path.read_bytes()
    harm(journal.path, random.Random(seed))
    after = journal.path.read_bytes() if journal.path.exists() else b""
    found = journal.read()
    whole = [line for line in before.splitlines() if line in after.split(b"\n")]
    assert found.whole == whole
    assert found.units == {k: {"label": f"type {k}"} for k in found.units}
    journal.append("more", "more", {"label": "x"})
    assert set(journal.read().units) >= {*found.units, "more"}


def test_damaged_lines_are_set_aside_and_told_once():
    run = Run.create("local")
    for i in range(3):
        run.record(f"cluster {i}", str(i), {"label": "B"})
    path = run.folder / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"key": "1"', b'"key": "7"'))
    assert set(run.finished()) == {"0", "2"}
    with pytest.warns(RunDamagedWarning, match="1 line of the journal .* is damaged") as told:
        run.mend()
    assert "2 other answers" in told[0].message.hint
    run.mend()
    assert b'"key": "7"' in (run.folder / "journal.damaged").read_bytes()
    assert len(path.read_bytes().splitlines()) == 2


def test_lines_of_an_older_version_have_no_checksum_and_are_read(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text('{"unit": "a", "key": "1", "payload": {"label": "B"}}\n', encoding="utf-8")
    assert Journal(path).read().units == {"1": {"label": "B"}}


def test_a_journal_of_nothing_but_zeros_is_damaged_and_not_cut(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(bytes(100))
    assert len(Journal(path).read().damaged) == 1


@pytest.mark.parametrize("name", ["id", "created", "engine", "status", "outputs", "sum"])
def test_a_record_without_a_member_is_an_error_of_its_class(name):
    import json

    run = Run.create("local")
    path = run.folder / "run.json"
    content = json.loads(path.read_text())
    del content[name]
    path.write_text(json.dumps(content))
    with pytest.raises(RunDamagedError, match=r"cannot be read.*run\.json") as caught:
        Run.open(run.folder)
    assert "annotate the same input again" in caught.value.hint


def test_the_status_of_a_record_may_be_edited_and_nothing_else():
    run = Run.create("local", options={"n_genes": 50})
    path = run.folder / "run.json"
    text = path.read_text()
    path.write_text(text.replace('"unfinished"', '"interrupted"'))
    assert Run.open(run.id).content["status"] == "interrupted"
    path.write_text(text.replace("50", "51"))
    with pytest.raises(RunDamagedError):
        Run.open(run.id)
