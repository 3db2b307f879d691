from cellferry import errors


def test_an_error_shows_the_problem_first_and_then_what_to_do():
    error = errors.MarkersEmptyError("The table has no rows.", "Run it again.", rows=0)
    assert str(error) == "The table has no rows.\nRun it again."
    assert error.to_dict() == {
        "code": "markers_empty",
        "message": "The table has no rows.",
        "hint": "Run it again.",
        "data": {"rows": 0},
    }


def test_a_warning_is_plain_data_too():
    warning = errors.SpeciesWarning("It is mouse.", "Say so.")
    assert str(warning) == "It is mouse.\nSay so."
    assert warning.to_dict() == {"code": "species", "message": "It is mouse.", "hint": "Say so."}
