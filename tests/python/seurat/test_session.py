import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cellferry import errors
from fresh_python import python
from r_session import needs_rpy2, pbmc, r

pytestmark = needs_rpy2


def test_conditions_of_r_are_our_errors_with_message_and_hint():
    from cellferry.seurat.session import call
    from cellferry.seurat.vectors import text_vector

    with pytest.raises(errors.InvalidOptionError, match='no assay "ADT"') as caught:
        call("extract_assay", pbmc(), text_vector(["ADT"]))
    assert caught.value.hint == 'Its assays: "RNA".'


def test_another_error_of_r_is_internal_and_names_the_function():
    from cellferry.seurat.session import call

    with pytest.raises(errors.InternalError, match=r"R stopped in base::stop\(\): boo"):
        call("base::stop", r("'boo'"))


def test_warnings_of_r_are_ours_or_in_the_log(caplog):
    from cellferry.seurat.session import call

    with caplog.at_level(logging.INFO, logger="cellferry"):
        call("base::warning", r("'careful'"))
        call("base::message", r("'by the way'"))
    assert [record.getMessage() for record in caplog.records] == ["R: careful", "R: by the way"]
    signal = r(
        "function() warning(structure(class = c('cellferry_species_warning', 'warning', "
        "'condition'), list(message = 'Odd genes.\\ni Look.', call = NULL)))"
    )
    with pytest.warns(errors.SpeciesWarning, match="Odd genes") as caught:
        call("base::do.call", signal, r("list()"))
    assert caught[0].message.hint == "Look."


def test_our_functions_are_in_an_environment_of_their_own():
    from cellferry.seurat.session import r_function

    assert r_function("extract_assay") is not None
    assert not r("exists('extract_assay')")[0]


def test_worker_threads_convert_as_the_main_thread_does():
    """rpy2's own conversion is missing in them, because it is kept in a context variable."""
    import numpy as np

    from cellferry.seurat import to_anndata, to_seurat

    robj = pbmc()
    expected = to_anndata(robj)

    def there_and_back(_):
        assert threading.current_thread() is not threading.main_thread()
        return to_anndata(to_seurat(to_anndata(robj)))

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(there_and_back, range(8)):
            np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())
            assert found.obs.equals(expected.obs)


def test_r_is_not_started_by_a_worker_thread():
    done = python(
        "import threading\n"
        "from cellferry import errors\n"
        "from cellferry.seurat import to_anndata\n"
        "def work():\n"
        "    try: to_anndata(None)\n"
        "    except errors.EmbeddingError as error: print(error.hint)\n"
        "t = threading.Thread(target=work); t.start(); t.join()"
    )
    assert done.stdout == "Run `import rpy2.robjects` in the main thread first.\n", done.stderr


def test_rpy2_says_nothing_on_the_terminal():
    done = python(
        "import warnings; warnings.simplefilter('error')\n"
        "from cellferry.seurat.session import r_interface, call\n"
        "print(call('base::sum', r_interface().evalr('1:3'))[0])"
    )
    assert (done.stdout, done.stderr) == ("6\n", "")


def test_without_seuratobject_the_error_says_how_to_get_it():
    done = python(
        "from cellferry import errors\n"
        "from cellferry.seurat import to_anndata\n"
        "from cellferry.seurat.session import r_interface\n"
        "r_interface().evalr('.libPaths(tempdir(), include.site = FALSE)')\n"
        "try: to_anndata(r_interface().evalr('1L'))\n"
        "except errors.DependencyError as error: print(error.hint.splitlines()[0])",
        R_LIBS="", R_LIBS_SITE="/nowhere", R_LIBS_USER="/nowhere",
    )  # fmt: skip
    if not done.stdout:
        pytest.skip("this R keeps SeuratObject in its own library")
    assert done.stdout == 'In R: install.packages("SeuratObject")\n'


def test_an_r_that_rpy2_cannot_load_is_said():
    done = python(
        "from cellferry import errors\n"
        "from cellferry.seurat import to_anndata\n"
        "try: to_anndata(None)\n"
        "except errors.DependencyError as error: print(error.message.partition(':')[0])",
        R_HOME="/nowhere",
    )
    assert done.stdout == "rpy2 is installed and cannot load R\n", done.stderr
