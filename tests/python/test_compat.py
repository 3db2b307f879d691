import cellferry.compat


def test_the_package_of_drop_in_names_holds_no_names_of_its_own():
    public = [n for n in vars(cellferry.compat) if not n.startswith("_")]
    assert set(public) <= {"cassia", "cassia_examples", "cytetype", "cellatlas"}
