import pytest

from cellferry import errors


@pytest.mark.parametrize(("child", "parent"), [
    (errors.InterruptedRunError, errors.RunError),
    (errors.AnnotationsFormatError, errors.AnnotationsError),
    (errors.ArtifactValuesError, errors.ArtifactBuildError),
    (errors.DependencyError, errors.CellferryError),
])  # fmt: skip
def test_what_is_kept_has_errors_of_its_kind(child, parent):
    with pytest.raises(parent):
        raise child("Told.")
