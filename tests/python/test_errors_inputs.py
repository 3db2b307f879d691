import pytest

from cellferry import errors


@pytest.mark.parametrize(("child", "parent"), [
    (errors.MarkersMismatchError, errors.MarkersError),
    (errors.UnknownOptionError, errors.InputError),
    (errors.NotNormalizedError, errors.InputError),
    (errors.DataInUseError, errors.OutputError),
    (errors.ColumnExistsError, errors.DeliveryError),
])  # fmt: skip
def test_what_cannot_be_used_is_caught_by_its_kind(child, parent):
    with pytest.raises(parent):
        raise child("Told.")
