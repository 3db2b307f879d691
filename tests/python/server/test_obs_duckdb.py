"""obs.duckdb of clients: only our own queries, hostile databases refused."""

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellferry.server.failures import Code, Failure
from cellferry.server.lookup.obs_duckdb import counts, group_column, inspect, opened
from server_files import N_CELLS, write_obs_duckdb


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return str(write_obs_duckdb(tmp_path_factory.mktemp("obs") / "obs.duckdb"))


LABELS = ["cluster 0", "cluster 1", "cluster 2"]


def test_columns_and_rows(path):
    found = inspect(path)
    assert found["n_cells"] == N_CELLS
    assert list(found["columns"])[:3] == ["leiden", "donor", "amount"]


def test_the_column_of_the_clusters_is_found_by_its_values(path):
    assert group_column(path, LABELS) == {
        "column": "leiden",
        "sizes": dict.fromkeys(LABELS, 30),
        "n_cells": N_CELLS,
    }
    assert group_column(path, LABELS[:2]) is None
    assert group_column(path, ["d0", "d1"])["sizes"]["d0"] == 45


def test_codes_are_in_the_order_of_cells(path):
    codes = opened(path).codes("leiden", LABELS[::-1])
    np.testing.assert_array_equal(codes, 2 - np.arange(N_CELLS) % 3)


def test_every_kth_coordinate(path):
    name, rows, x, y = opened(path).coordinates(30)
    assert name == "X_umap"
    assert rows.tolist() == x.tolist() == [0, 30, 60]
    assert y.tolist() == [0, -30, -60]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], 90),
        ([{"column": "leiden", "op": "eq", "value": "cluster 1"}], 30),
        ([{"column": "leiden", "op": "in", "value": ["cluster 1", "cluster 2", "x"]}], 60),
        ([{"column": "donor", "op": "is_null"}], 9),
        ([{"column": "donor", "op": "not_null"}], 81),
        ([{"column": "donor", "op": "ne", "value": "d0"}], 45),
        ([{"column": "donor", "op": "not_in", "value": ["d0", "d1"]}], 9),
        ([{"column": "amount", "op": "lt", "value": 10}], 10),
        ([{"column": "amount", "op": "ge", "value": 89}], 1),
        ([{"column": "amount", "op": "eq", "value": 7}], 1),
        ([{"column": "even", "op": "eq", "value": True}], 45),
        (
            [
                {"column": "even", "op": "eq", "value": False},
                {"column": "amount", "op": "le", "value": 9},
            ],
            5,
        ),
        ([{"column": "leiden", "op": "eq", "value": "x' OR 1=1 --"}], 0),
    ],
)
def test_counts(path, filters, expected):
    found = counts(path, filters)
    assert (found["total"], found["count"]) == (N_CELLS, expected)


def test_counts_by_group(path):
    found = counts(path, [{"column": "amount", "op": "lt", "value": 10}], "donor")
    assert found["groups"] == [
        {"value": "d0", "count": 5},
        {"value": "d1", "count": 4},
        {"value": None, "count": 1},
    ]


@given(st.text())
def test_names_that_are_no_columns_are_refused(path, name):
    if name in inspect(path)["columns"]:
        return
    with pytest.raises(Failure) as caught:
        counts(path, [{"column": name, "op": "is_null"}], None)
    assert caught.value.code is Code.VALIDATION_ERROR


def test_columns_with_quotes_are_names_and_nothing_else(tmp_path):
    odd = 'a"; DROP TABLE obs; --'
    quoted = odd.replace('"', '""')
    file = write_obs_duckdb(
        tmp_path / "o.duckdb", statements=[f'ALTER TABLE obs ADD COLUMN "{quoted}" INT DEFAULT 5']
    )
    found = counts(str(file), [{"column": odd, "op": "eq", "value": 5}], odd)
    assert found["count"] == N_CELLS


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE VIEW v AS SELECT 1", "views"),
        ("CREATE MACRO m(a) AS a + 1", "macros"),
        ("CREATE MACRO t() AS TABLE SELECT 1", "macros"),
        ("CREATE SEQUENCE s", "sequences"),
        ("CREATE SCHEMA other", "schemas"),
        ("CREATE TABLE more AS SELECT 1 AS a", "no other"),
        ("ALTER TABLE obs RENAME TO other", "no other"),
    ],
)
def test_hostile_databases_are_refused(tmp_path, statement, message):
    file = write_obs_duckdb(tmp_path / "o.duckdb", statements=[statement])
    with pytest.raises(Failure, match=message) as caught:
        inspect(str(file))
    assert caught.value.code is Code.INVALID_ARTIFACT


def test_computed_columns_are_refused(tmp_path):
    with duckdb.connect(str(tmp_path / "o.duckdb")) as sql:
        sql.execute("CREATE TABLE obs (a INT, b INT GENERATED ALWAYS AS (a + 1))")
    with pytest.raises(Failure, match="computed"):
        inspect(str(tmp_path / "o.duckdb"))


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_other_bytes_are_refused(tmp_path, content):
    (tmp_path / "o.duckdb").write_bytes(content)
    with pytest.raises(Failure):
        inspect(str(tmp_path / "o.duckdb"))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH '/tmp/x.duckdb'",
        "COPY obs TO '/tmp/x.csv'",
        "INSTALL httpfs",
        "SET memory_limit = '99GB'",
        "CREATE TABLE x AS SELECT 1",
    ],
)
def test_even_a_query_of_ours_could_not_reach_out(path, query):
    with pytest.raises(duckdb.Error):
        opened(path).sql.execute(query)
