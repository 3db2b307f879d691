def test_the_drop_in_names_are_where_scripts_look_for_them():
    from cellferry.compat.cytetype import CyteType

    assert CyteType.__name__ == "CyteType"
