import pytest

from cellferry import errors


@pytest.mark.parametrize(("child", "parent"), [
    (errors.CredentialsRequiredError, errors.EngineError),
    (errors.ServiceTooLargeError, errors.ServiceError),
    (errors.ServicePageError, errors.ServiceAnswerError),
    (errors.ServiceError, errors.EngineError),
])  # fmt: skip
def test_every_fault_of_a_service_is_one_of_its_engine(child, parent):
    with pytest.raises(parent):
        raise child("Told.")
