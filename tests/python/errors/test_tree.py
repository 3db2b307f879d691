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
