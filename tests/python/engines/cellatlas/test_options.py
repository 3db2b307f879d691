import pytest

from cellferry.engines.cellatlas import CellAtlas
from cellferry.engines.cellatlas.options import HOSTED, Options, checked
from cellferry.errors import InvalidOptionError


def test_defaults_are_those_of_the_tutorial():
    options = Options()
    assert (options.model, options.reference_atlas) == ("geneformer", "human-core-2026")
    assert (options.timeout, options.chunk_size) == (300, 50_000)
    assert options.api_url == HOSTED
    assert HOSTED.endswith("railway.app/v1/singlecell/annotate")


@pytest.mark.parametrize(("name", "value"), [
    ("chunk_size", 0), ("chunk_size", 100_001), ("chunk_size", 1.5), ("chunk_size", True),
    ("timeout", 0), ("timeout", "long"), ("parallel", 0), ("chunk_bytes", 1), ("qc", "maybe"),
    ("values", "scaled"), ("compress", 1), ("model", ""), ("reference_atlas", None),
    ("max_mitochondrial", 20),
])  # fmt: skip
def test_values_that_are_not_valid_are_named(name, value):
    with pytest.raises(InvalidOptionError, match=f"`{name}`"):
        checked(Options(**{name: value}))


def test_an_address_must_be_encrypted_or_of_this_machine():
    with pytest.raises(InvalidOptionError, match="https"):
        CellAtlas(api_url="http://example.org/annotate")
    assert CellAtlas(api_url="http://localhost:1/x").capabilities.host is None


def test_options_make_the_same_engine_again(monkeypatch):
    monkeypatch.setenv("CELLATLAS_API_URL", "https://atlas.example.org/annotate")
    engine = CellAtlas(chunk_size=10, api_key="sk-sci-abcdef")
    assert CellAtlas(**engine.describe()).describe() == engine.describe()
    assert engine.describe()["api_url"] == "https://atlas.example.org/annotate"
    assert "sk-sci" not in repr(engine.describe()) + repr(engine)
