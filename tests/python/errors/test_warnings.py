"""Warnings can be silenced or made errors as a family or one by one."""

import warnings

import pytest

from cellferry import errors
from cellferry import errors as cautions

ALL = [getattr(cautions, name) for name in dir(cautions) if name.endswith("Warning")]


@pytest.mark.parametrize("kind", ALL)
def test_the_family_and_the_class_can_be_filtered(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellferryWarning)
        with pytest.raises(kind, match="Something is odd"):
            warnings.warn(kind("Something is odd.", "Look."), stacklevel=1)
        warnings.simplefilter("ignore", kind)
        warnings.warn(kind("Something is odd."), stacklevel=1)


def test_there_are_as_many_as_r_knows():
    assert len(errors.warning_codes()) == len(ALL)
