"""Python without R around it; with R it is tested from there (test-artifacts.R)."""

import os

import pytest

from cellferry.bridge import memory as r_memory
from cellferry.errors import InternalError


def test_without_r_in_this_process_nothing_is_read():
    assert not r_memory.in_this_process(os.getpid())
    with pytest.raises(InternalError, match="no R in this process"):
        r_memory.vector("0x1", "real", 3)
