import inspect
import math

import pytest

from cellferry.engines.cytetype import CyteType
from cellferry.engines.cytetype.options import ADDRESS_VARIABLE, HOSTED, Options, checked
from cellferry.errors import InvalidOptionError


def test_the_defaults_are_those_of_the_specification():
    found = Options()
    assert (found.rank_key, found.n_top_genes, found.aggregate_metadata) == (
        "rank_genes_groups", 50, True,
    )  # fmt: skip
    assert (found.min_percentage, found.pcent_batch_size) == (10, 2000)
    assert (found.coordinates_key, found.max_cells_per_group) == ("X_umap", 1000)
    assert (found.vars_h5_path, found.obs_duckdb_path) == ("vars.h5", "obs.duckdb")
    assert (found.upload_timeout_seconds, found.cleanup_artifacts) == (3600, False)
    assert (found.require_artifacts, found.save_query) == (True, True)
    assert (found.query_filename, found.poll_interval_seconds) == ("query.json", 30)
    assert found.timeout_seconds == 7200


def test_the_engine_has_the_same_defaults():
    signature = inspect.signature(CyteType).parameters
    for name, option in Options.__dataclass_fields__.items():
        assert signature[name].default == option.default, name


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("n_top_genes", 0), ("n_top_genes", 2.5), ("n_top_genes", True), ("n_top_genes", "5"),
        ("n_parallel_clusters", 51), ("n_parallel_clusters", 0), ("min_percentage", -1),
        ("max_cells_per_group", math.nan), ("upload_timeout_seconds", 0),
        ("poll_interval_seconds", -1), ("timeout_seconds", math.inf), ("timeout_seconds", "9"),
        ("save_query", 1), ("require_artifacts", None), ("coordinates_key", ""),
        ("query_filename", None), ("visibility", "everyone"), ("metadata", ["a"]),
        ("metadata", {"a": ["b"]}), ("obs_columns", 3), ("obs_columns", [1]),
        ("api_url", "http://example.org"), ("gene_symbols_column", 3), ("upload_max_workers", 0),
    ],
)  # fmt: skip
def test_a_value_that_is_not_valid_is_refused_by_name(option, value):
    with pytest.raises(InvalidOptionError, match=option):
        checked(Options(**{option: value}))


def test_values_are_settled():
    found = checked(Options(n_top_genes=7.0, timeout_seconds=5, obs_columns="donor"))
    assert (found.n_top_genes, found.timeout_seconds, found.obs_columns) == (7, 5.0, ("donor",))
    assert isinstance(found.n_top_genes, int)


def test_the_address_is_the_options_then_the_environments_then_the_hosted_one(monkeypatch):
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    assert Options().address == HOSTED
    monkeypatch.setenv(ADDRESS_VARIABLE, "http://127.0.0.1:9/")
    assert Options().address == "http://127.0.0.1:9"
    assert Options(api_url="https://example.org/").address == "https://example.org"
    monkeypatch.setenv(ADDRESS_VARIABLE, "http://example.org")
    with pytest.raises(InvalidOptionError):
        _ = Options().address


def test_the_description_makes_the_same_options_again():
    given = checked(Options(api_url="http://127.0.0.1:9", metadata={"a": 1}, obs_columns=("x",)))
    assert checked(Options(**given.describe())) == given
