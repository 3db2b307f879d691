"""What a user imports, and what importing it does: nothing."""

import json

import pytest

from fresh_python import python


@pytest.mark.parametrize("module", ["cellferry", "cellferry.engines.local", "cellferry.cli"])
def test_importing_is_light_and_changes_nothing(module):
    """No pandas or anndata, no network, no environment, no logging handlers."""
    script = (
        "import json, logging, os, socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "before = dict(os.environ)\n"
        f"import {module}\n"
        "heavy = [m for m in ('pandas', 'anndata', 'scipy', 'scanpy', 'rpy2', 'httpx')"
        " if m in sys.modules]\n"
        "handlers = logging.getLogger('cellferry').handlers + logging.getLogger().handlers\n"
        "print(json.dumps([heavy, dict(os.environ) == before, len(handlers)]))\n"
    )
    done = python(script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], True, 0]


def test_public_names_are_exactly_the_promised_ones():
    import cellferry

    for name in cellferry.__all__:
        assert getattr(cellferry, name) is not None
    assert dir(cellferry) == sorted(cellferry.__all__)
    with pytest.raises(AttributeError, match="no attribute 'anotate'"):
        _ = cellferry.anotate
