"""A model file of CellTypist, read without running anything that is in it.

The files are pickles of two objects of scikit-learn and a dictionary. A pickle may call whatever it
names; here only arrays of NumPy are made, and every class of scikit-learn becomes a container of
its attributes. Neither CellTypist nor scikit-learn is needed, and their versions do not matter.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ModelError, listing
from ...files import file_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDER = "CELLTYPIST_FOLDER"
"""The environment variable that says where CellTypist keeps its models."""
_ARRAYS = {
    ("numpy", "ndarray"), ("numpy", "dtype"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
    ("_codecs", "encode"), ("collections", "OrderedDict"),
}  # fmt: skip


class _Container:
    """Stands for an object of scikit-learn: its attributes, and nothing that it does."""

    def __init__(self, *_arguments: object) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Makes arrays and containers, and refuses everything else before it is made."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what is made for a name of the file."""
        if (module, name) in _ARRAYS:
            return super().find_class(module, name)
        if module.partition(".")[0] == "sklearn":
            return _Container
        message = f"{module}.{name}"
        raise pickle.UnpicklingError(message)


@dataclass(frozen=True, eq=False)
class CellTypistModel:
    """What a file of CellTypist holds, K classes x G genes.

    Attributes
    ----------
    path, digest
        The file, and its hash.
    genes, classes
        G names and K labels.
    coefficients, intercepts
        K x G and K; one row for two classes.
    means, scales
        G: what genes are centred by and divided by.
    description
        What its authors say of it: ``version``, ``date``, ``details``, ``source``.
    """

    path: Path
    digest: str
    genes: tuple[str, ...]
    classes: tuple[str, ...]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    means: NDArray[np.float64]
    scales: NDArray[np.float64]
    description: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, model: str | os.PathLike[str]) -> CellTypistModel:
        """Read a file, or a model that CellTypist has downloaded, by its name.

        Parameters
        ----------
        model
            A path, or a name such as ``"Immune_All_Low.pkl"`` or ``"Immune_All_Low"``.

        Raises
        ------
        ModelError
            There is none, or it is no model of CellTypist.
        """
        path = find_model(model)
        try:
            with path.open("rb") as file:
                found = _Reader(file).load()
            return cls._of(found, path)
        except pickle.UnpicklingError as error:
            message = f'"{path}" is no model of CellTypist: it holds {error}, which was not run.'
            raise ModelError(message, _WHAT) from error
        except Exception as error:
            # What is no pickle, or another one, makes its reader raise anything.
            message = f'"{path}" is no model of CellTypist, or it is damaged.'
            raise ModelError(message, _WHAT) from error

    @classmethod
    def _of(cls, found: Any, path: Path) -> CellTypistModel:
        classifier, scaler = vars(found["Model"]), vars(found["Scaler_"])
        genes = tuple(str(gene) for gene in classifier["features"])
        scales = np.asarray(scaler["scale_"], dtype=np.float64)
        centred = bool(scaler.get("with_mean", True))
        means = np.asarray(scaler["mean_"], dtype=np.float64) if centred else np.zeros(len(genes))
        made = cls(
            path,
            file_hash(path),
            genes,
            tuple(str(name) for name in classifier["classes_"]),
            np.asarray(classifier["coef_"], dtype=np.float64),
            np.asarray(classifier["intercept_"], dtype=np.float64),
            means,
            scales,
            {str(k): str(v) for k, v in dict(found.get("description") or {}).items()},
        )
        k = len(made.classes)
        rows = 1 if k == 2 else k
        shapes = made.coefficients.shape, made.intercepts.shape, means.shape, scales.shape
        if k < 2 or shapes != ((rows, len(genes)), (rows,), (len(genes),), (len(genes),)):
            message = "its arrays do not fit each other"
            raise ValueError(message)
        return made

    def scores(self, dense: NDArray[np.float64], own: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the scores of cells x K, as the classifier of CellTypist has them.

        Parameters
        ----------
        dense
            Cells x shared genes, log1p of 10,000; it is changed.
        own
            Places of these genes in the model.
        """
        dense -= self.means[own]
        dense /= self.scales[own]
        np.minimum(dense, 10, out=dense)
        found: NDArray[np.float64] = dense @ self.coefficients[:, own].T + self.intercepts
        return np.hstack([-found, found]) if found.shape[1] == 1 else found


_WHAT = "A model is what celltypist.train(...).write(path) or its download gives."


def models_folder() -> Path:
    """Return where CellTypist keeps the models that it has downloaded."""
    base = os.environ.get(FOLDER) or str(Path.home() / ".celltypist")
    return Path(base) / "data" / "models"


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the file of a model; nothing is downloaded.

    Parameters
    ----------
    model
        As in :meth:`CellTypistModel.load`.

    Raises
    ------
    ModelError
        There is no such file.
    """
    given = Path(model).expanduser()
    name = given.name if given.suffix == ".pkl" else f"{given.name}.pkl"
    is_name = len(given.parts) == 1
    places = [given, *([models_folder() / name] if is_name else [])]
    for place in places:
        if place.is_file():
            return place
    there = sorted(path.name for path in models_folder().glob("*.pkl"))
    message = f'There is no model "{given}".'
    if there:
        message += f" CellTypist has downloaded {listing(there)}."
    hint = "Give the path of its file."
    if is_name:
        hint = (
            "Give its path; or download it, which cellferry does not do unasked: in Python "
            f'import celltypist; celltypist.models.download_models(model="{name}")'
        )
    raise ModelError(message, hint)
