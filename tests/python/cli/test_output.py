from pathlib import Path

import pytest

from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.cli.output import aligned, output_paths, table, write_all
from cellferry.errors import OutputError


def test_the_table_is_aligned_and_shows_missing_values_as_nothing():
    rows = (
        Annotation("0", "ok", 12, "B cell", confidence=0.914, confidence_kind="graded"),
        Annotation("10", "skipped", error="No markers."),
    )
    assert table(Annotations(rows)).splitlines() == [
        "cluster  n_cells  label   confidence  status",
        "0             12  B cell        0.91  ok",
        "10                                    skipped",
    ]


def test_characters_that_are_two_columns_wide_or_none_are_aligned_too():
    rows = [("\u7d30\u80de", "1"), ("e\u0301", "2"), ("abc", "3")]
    assert aligned(("label", "n"), rows).splitlines() == [
        "label  n",
        "\u7d30\u80de   1",
        "e\u0301      2",
        "abc    3",
    ]


def test_a_line_is_never_cut_or_wrapped_or_coloured():
    long = "[red]T cell[/red] " + "x" * 500
    assert aligned(("label", "n"), [(long, "1")]).splitlines()[1] == f"{long}  1"


def test_the_name_is_used_as_given():
    assert output_paths(Path("d/res_v1.2"))["table"] == Path("d/res_v1.2_annotations.csv")


def test_a_file_that_fails_leaves_nothing_half_written(tmp_path):
    def half(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left on device"):
        write_all({tmp_path / "x.csv": half})
    assert list(tmp_path.iterdir()) == []
