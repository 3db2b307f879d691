from pathlib import Path
from types import ModuleType

import cellferry.compat


def test_the_package_of_drop_in_names_holds_no_names_of_its_own():
    modules = {path.stem for path in Path(cellferry.compat.__file__).parent.glob("*.py")}
    public = {n: v for n, v in vars(cellferry.compat).items() if not n.startswith("_")}
    assert set(public) <= modules
    assert all(isinstance(found, ModuleType) for found in public.values())
