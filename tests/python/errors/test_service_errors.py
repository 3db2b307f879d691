"""Errors of engines and of services."""

import re

import httpx
import pytest

from cellferry import errors
from cellferry import errors as engines
from cellferry.engines.service.answers import error_of


def with_status():
    """The classes whose meaning names the status that a service answers with."""
    for name in dir(engines):
        cls = getattr(engines, name)
        if isinstance(cls, type) and issubclass(cls, errors.ServiceError):
            for status in re.findall(r"\b[45]\d\d\b", cls.__doc__ or ""):
                yield int(status), cls


@pytest.mark.parametrize(("status", "cls"), sorted(with_status(), key=lambda pair: pair[0]))
def test_the_status_that_a_class_names_is_that_class(status, cls):
    answer = httpx.Response(status, request=httpx.Request("GET", "http://127.0.0.1/x"))
    error = error_of(answer, b"{}")
    assert type(error) is cls
    assert isinstance(error, errors.EngineError)


def test_most_statuses_are_named():
    assert {401, 403, 404, 410, 413, 422, 429} <= {status for status, _ in with_status()}
