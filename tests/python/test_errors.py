import pytest

from cellferry import errors


def classes(base):
    return [base, *(c for child in base.__subclasses__() for c in classes(child))]


@pytest.mark.parametrize("base", [errors.CellferryError, errors.CellferryWarning])
def test_every_class_has_a_code_of_its_own_and_a_meaning(base):
    found = classes(base)
    codes = [c.code for c in found]
    assert len(set(codes)) == len(codes)
    assert all((c.__doc__ and c.__doc__.splitlines()[0].endswith(".")) or c is base for c in found)


def test_every_class_is_named_in_the_tree_of_the_module_docstring():
    for cls in classes(errors.CellferryError) + classes(errors.CellferryWarning):
        assert cls.__name__ in errors.__doc__, cls.__name__


def test_every_class_is_imported_from_the_package_and_says_so():
    for cls in classes(errors.CellferryError) + classes(errors.CellferryWarning):
        if cls.__module__.startswith("cellferry."):
            assert getattr(errors, cls.__name__) is cls
            assert cls.__module__ == "cellferry.errors"
            assert cls.__name__ in errors.__all__


def test_an_error_shows_the_problem_first_and_then_what_to_do():
    error = errors.MarkersEmptyError("The table has no rows.", "Run it again.", rows=0)
    assert str(error) == "The table has no rows.\nRun it again."
    assert error.to_dict() == {
        "code": "markers_empty",
        "message": "The table has no rows.",
        "hint": "Run it again.",
        "data": {"rows": 0},
    }


@pytest.mark.parametrize(
    ("given", "valid", "expected"),
    [
        ("group_by", ["group.by", "key"], "group.by"),
        ("n_gene", ["n_genes", "tissue"], "n_genes"),
        ("Species", ["species"], "species"),
        ("entirely_other", ["species"], None),
        ("x", [], None),
    ],
)
def test_nearest_finds_what_was_meant(given, valid, expected):
    assert errors.nearest(given, valid) == expected


def test_a_long_listing_is_cut_and_says_so():
    assert errors.listing([str(i) for i in range(12)], most=2) == '"0", "1" and 10 more'
