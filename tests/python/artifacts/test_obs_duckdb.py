import datetime
import json
import subprocess

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_data import make_study
from cellferry.artifacts.obs_duckdb import (
    CELL_NAMES,
    check_columns,
    obs_table,
    warn_of_renamed,
    write_obs_duckdb,
)
from cellferry.errors import ColumnsRenamedWarning, GroupMissingError
from published import installed, plain


def study_of(obs, coordinates=None):
    n = len(obs)
    study = make_study(np.ones((n, 1)), ["a"] * n)
    return study.with_parts(obs=obs, coordinates=coordinates)


def stored(obs, folder, **options):
    """Column -> (type, values) of the table as duckdb reads it."""
    coordinates = options.pop("coordinates", None)
    path = folder / "obs.duckdb"
    path.unlink(missing_ok=True)
    write_obs_duckdb(path, obs_table(study_of(obs, coordinates), **options), folder / "spill")
    assert [p.name for p in folder.iterdir()] == ["obs.duckdb"]
    with duckdb.connect(str(path), read_only=True) as connection:
        types = connection.execute("DESCRIBE obs").fetchall()
        rows = connection.execute("SELECT * FROM obs").fetchall()
    return {name: (kind, [row[i] for row in rows]) for i, (name, kind, *_) in enumerate(types)}


NA = pd.NA
CASES = {
    "category": (pd.Categorical(["b", None, "a"], ["a", "b", "z"]), "ENUM('a', 'b', 'z')",
                 ["b", None, "a"]),
    "category of numbers": (pd.Categorical([10, None, 2]), "ENUM('2', '10')", ["10", None, "2"]),
    "category without levels": (pd.Categorical([None] * 3), "VARCHAR", [None] * 3),
    "category of alike": (pd.Categorical([1, "1", None]), "ENUM('1')", ["1", "1", None]),
    "float32": (np.array([1, np.nan, np.inf], "f4"), "FLOAT", [1.0, None, float("inf")]),
    "float16": (np.array([1, np.nan, 2], "f2"), "FLOAT", [1.0, None, 2.0]),
    "int8": (np.array([1, 2, -3], "i1"), "TINYINT", [1, 2, -3]),
    "uint64": (np.array([0, 1, 2**64 - 1], "u8"), "UBIGINT", [0, 1, 2**64 - 1]),
    "Int64": (pd.array([1, NA, 2**60], "Int64"), "BIGINT", [1, None, 2**60]),
    "boolean": (pd.array([True, NA, False], "boolean"), "BOOLEAN", [True, None, False]),
    "bool": ([True, False, True], "BOOLEAN", [True, False, True]),
    "object of bool": (np.array([True, None, False], object), "BOOLEAN", [True, None, False]),
    "object of int": (np.array([1, None, 3], object), "BIGINT", [1, None, 3]),
    "object of large int": (np.array([1, None, 2**70], object), "VARCHAR", ["1", None, str(2**70)]),
    "object of float": (np.array([0.5, None, 3], object), None, None),
    "text": (["x", None, np.nan], "VARCHAR", ["x", None, None]),
    "string": (pd.array(["x", NA, "µ"], "string"), "VARCHAR", ["x", None, "µ"]),
    "nothing": ([None] * 3, "VARCHAR", [None] * 3),
    "mixed": (["a", 1, None], "VARCHAR", ["a", "1", None]),
    "lists": ([[1], None, [2]], "VARCHAR", ["[1]", None, "[2]"]),
    "surrogate": (["a\ud800", "b", "c"], "VARCHAR", ["a?", "b", "c"]),
    "dates": ([datetime.date(2024, 1, 2), None, datetime.date(2024, 1, 3)], "DATE",
              [datetime.date(2024, 1, 2), None, datetime.date(2024, 1, 3)]),
    "period": (pd.period_range("2024-01", periods=3, freq="M"), "VARCHAR",
               ["2024-01", "2024-02", "2024-03"]),
    "complex": (np.array([1j, 2, 3]), "VARCHAR", ["1j", "(2+0j)", "(3+0j)"]),
    "interval": (pd.cut([1, 2, 3], [0, 2, 4]), "ENUM('(0, 2]', '(2, 4]')",
                 ["(0, 2]", "(0, 2]", "(2, 4]"]),
    "timedelta": (pd.to_timedelta(["1 days", None, "2 h"]), "INTERVAL",
                  [datetime.timedelta(days=1), None, datetime.timedelta(hours=2)]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_type_of_column_keeps_its_values(case, tmp_path):
    given, kind, values = CASES[case]
    found = stored(pd.DataFrame({"column": pd.Series(given)}), tmp_path)["column"]
    if kind is None:
        assert [None if v is None else float(v) for v in found[1]] == [0.5, None, 3.0]
    else:
        assert found == (kind, values)


def test_instants_keep_their_time_zone_and_naive_times_their_digits(tmp_path):
    zoned = pd.to_datetime(["2024-01-01 12:00", None]).tz_localize("Europe/Berlin")
    naive = pd.to_datetime(["2024-01-01 12:00:00.123456789", None])
    stored(pd.DataFrame({"zoned": zoned, "naive": naive}), tmp_path)
    with duckdb.connect(str(tmp_path / "obs.duckdb"), read_only=True) as connection:
        assert connection.execute(
            "SELECT typeof(zoned), epoch_ns(zoned), typeof(naive), epoch_ns(naive) FROM obs"
        ).fetchall() == [
            ("TIMESTAMP WITH TIME ZONE", zoned[0].value, "TIMESTAMP_NS", naive[0].value),
            ("TIMESTAMP WITH TIME ZONE", None, "TIMESTAMP_NS", None),
        ]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=20), st.booleans())
def test_any_text_is_read_as_it_was(tmp_path_factory, values, categorical):
    column = pd.Series(values, dtype="category" if categorical else object)
    # What the frame holds: categories of pandas take "" and a lone NUL for the same.
    held = [None if missing else v for v, missing in zip(column, column.isna(), strict=True)]
    found = stored(pd.DataFrame({"m": column}), tmp_path_factory.mktemp("any"))["m"][1]
    assert found == held


def test_rows_are_in_the_order_of_cells_with_names_and_coordinates(tmp_path):
    n = 5000
    embedding = np.random.default_rng(0).random((n, 2)).astype(np.float32)
    obs = pd.DataFrame({"row": np.arange(n)[::-1]})
    found = stored(obs, tmp_path, coordinates=("X_umap", embedding))
    assert list(found) == [
        "row", "__vis_coordinates_X_umap_1", "__vis_coordinates_X_umap_2", CELL_NAMES,
    ]  # fmt: skip
    assert found["row"][1] == list(range(n))[::-1]
    assert found["__vis_coordinates_X_umap_2"] == ("FLOAT", embedding[:, 1].tolist())
    assert found[CELL_NAMES] == ("VARCHAR", [f"c{i}" for i in range(n)])


def test_columns_can_be_chosen_and_names_left_out(tmp_path):
    obs = pd.DataFrame({"group": ["a"], "donor": ["d"], "patient": ["secret"]})
    study = study_of(obs)
    columns = check_columns(study, ["donor"])
    assert columns == ("group", "donor")
    found = stored(obs, tmp_path, columns=columns, cell_names=False)
    assert list(found) == ["group", "donor"]
    assert b"secret" not in (tmp_path / "obs.duckdb").read_bytes()
    assert check_columns(study, None) is None
    with pytest.raises(GroupMissingError, match='no column "donr"'):
        check_columns(study, ["donr"])


def test_names_that_a_database_confuses_are_told_apart_and_it_is_said(tmp_path):
    obs = pd.DataFrame([[1, 2, 3, 4]], columns=["sample", "Sample", "sample_1", ""])
    with pytest.warns(ColumnsRenamedWarning, match='"Sample" is "Sample_2"'):
        warn_of_renamed(study_of(obs), cell_names=False)
    found = stored(obs, tmp_path, cell_names=False)
    assert {name: values for name, (_, values) in found.items()} == {
        "sample": [1], "Sample_2": [2], "sample_1": [3], "column_3": [4],
    }  # fmt: skip


def test_the_users_frame_is_not_touched(tmp_path):
    obs = pd.DataFrame(
        {"a": pd.Categorical([1, 2]), "b": np.array([True, None], object)}, index=["x", "y"]
    )
    before = obs.copy(deep=True)
    stored(obs, tmp_path, coordinates=("X_umap", np.zeros((2, 2))))
    pd.testing.assert_frame_equal(obs, before)


def test_an_apostrophe_in_the_path_is_no_danger(tmp_path):
    folder = tmp_path / "it's"
    folder.mkdir()
    assert stored(pd.DataFrame({"a": [1]}), folder)["a"] == ("BIGINT", [1])


def test_the_file_is_of_the_oldest_storage_version(tmp_path):
    stored(pd.DataFrame({"a": [1]}), tmp_path)
    with (tmp_path / "obs.duckdb").open("rb") as file:
        header = file.read(20)
    # duckdb 1.0 to 1.1 read version 64 and nothing newer.
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64


def test_duckdb_1_4_4_reads_every_type(tmp_path):
    obs = pd.DataFrame(
        {
            "leiden": pd.Categorical(["a", None, "b"]),
            "when": pd.date_range("2026-01-01", periods=3, tz="Europe/Paris"),
            "n": pd.array([1, None, 3], dtype="Int64"),
            "ok": pd.array([True, None, False], dtype="boolean"),
            "text": ["x", None, "z"],
        }
    )
    stored(obs, tmp_path, coordinates=("X_umap", np.zeros((3, 2))))
    script = (
        "import duckdb, json, sys\n"
        "with duckdb.connect(sys.argv[1], read_only=True) as connection:\n"
        "    kinds = [row[1] for row in connection.execute('DESCRIBE obs').fetchall()]\n"
        "    rows = connection.execute('SELECT leiden, n, ok, text FROM obs').fetchall()\n"
        "print(json.dumps([duckdb.__version__, kinds, rows]))\n"
    )
    command = [installed("duckdb", "1.4.4"), "-c", script, tmp_path / "obs.duckdb"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain())
    assert done.returncode == 0, done.stderr
    version, kinds, rows = json.loads(done.stdout)
    assert version == "1.4.4"
    assert kinds[:2] == ["ENUM('a', 'b')", "TIMESTAMP WITH TIME ZONE"]
    assert rows == [["a", 1, True, "x"], [None, None, None, None], ["b", 3, False, "z"]]
