import warnings

import pytest

from cellferry import errors


def test_a_warning_can_be_silenced_or_made_an_error_by_its_class():
    with warnings.catch_warnings():
        warnings.simplefilter("error", errors.CellsQualityWarning)
        with pytest.raises(errors.CellsQualityWarning, match="Empty"):
            warnings.warn(errors.CellsQualityWarning("Empty."), stacklevel=1)
        with pytest.warns(errors.CellferryWarning, match="One type"):
            warnings.warn(errors.CellsDiagnosisWarning("One type."), stacklevel=1)
