"""Errors of what was given, and of the place where labels go."""

import pytest

from cellferry import errors, read_markers
from cellferry.annotations.delivery import check_key


def test_whatever_is_wrong_with_a_table_is_caught_as_its_family(tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("cluster,gene\n")
    for given, kind in [(empty, errors.MarkersEmptyError),
                        (tmp_path / "none.csv", errors.MarkersUnreadableError)]:  # fmt: skip
        with pytest.raises(errors.MarkersError) as caught:
            read_markers(given)
        assert type(caught.value) is kind
        assert isinstance(caught.value, errors.InputError)


def test_a_place_for_labels_is_another_family_than_the_input():
    with pytest.raises(errors.DeliveryError) as caught:
        check_key("mine", ["mine"], (), overwrite=False)
    assert not isinstance(caught.value, errors.InputError)
    assert "mine" in caught.value.message
