"""Errors of what is kept: runs, annotations, artifacts."""

import pytest

from cellferry import errors
from cellferry.annotations.clusters import Annotations
from cellferry.runs.run import Run


def test_a_run_that_is_not_there_or_damaged_is_an_error_of_runs(tmp_path):
    with pytest.raises(errors.RunError) as caught:
        Run.open("20200101T000000Z-local-000000")
    assert type(caught.value) is errors.RunNotFoundError
    made = Run.create("local", tmp_path / "run")
    (made.folder / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(errors.RunError) as caught:
        Run.open(tmp_path / "run")
    assert type(caught.value) is errors.RunDamagedError


@pytest.mark.parametrize("text", ["[]", "{}", "no JSON"])
def test_a_text_that_holds_no_annotations_is_an_error_of_annotations(text):
    with pytest.raises(errors.AnnotationsError) as caught:
        Annotations.from_json(text)
    assert type(caught.value) is errors.AnnotationsFormatError
