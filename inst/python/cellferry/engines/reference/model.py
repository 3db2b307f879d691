"""A trained model of labels: arrays and JSON in one file, without pickle.

The file is an ``.npz``. ``plain`` is JSON: genes, classes with their terms of the Cell Ontology,
versions, what it was trained on, what cross-validation found, and the checksum of all the rest.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ModelError
from ...files import replacing
from ..models.genes import shared_genes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

SCHEMA = "cellferry.reference/1"
_ARRAYS = (
    "coefficients", "intercepts", "means", "scales", "centroids", "similarities",
    "calibration_p", "calibration_share",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReferenceModel:
    """A linear model of the classes of a reference, K classes x G genes.

    Attributes
    ----------
    genes, classes
        G symbols and K labels.
    ontology
        Class -> identifier and label in the Cell Ontology, where it has one.
    coefficients, intercepts
        K x G and K: of the multinomial logistic regression, over genes that are centred by
        ``means`` (G) and divided by ``scales`` (G).
    centroids
        K x G: the mean cell of each class, centred and scaled.
    threshold
        The probability below which a cell is Unknown.
    similarities
        K: the cosine to the centroid of its class below which a cell is Unknown.
    calibration_p, calibration_share
        Probability -> share of cells that are right, as cross-validation found it.
    about
        What is known of the training, as plain data.
    """

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    coefficients: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    means: NDArray[np.float32]
    scales: NDArray[np.float32]
    centroids: NDArray[np.float32]
    similarities: NDArray[np.float32]
    calibration_p: NDArray[np.float64]
    calibration_share: NDArray[np.float64]
    threshold: float
    ontology: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        found = self.about.get("cross_validation", {})
        right = f", {100 * found['right']:.1f} % right" if "right" in found else ""
        size = f"{len(self.classes)} classes, {len(self.genes)} genes"
        return f"<cellferry ReferenceModel: {size}{right} in cross-validation>"

    def checksum(self) -> str:
        """Return the checksum of everything that determines an answer."""
        digest = hashlib.sha256(json.dumps(self._plain(), sort_keys=True).encode())
        for name in _ARRAYS:
            values = np.ascontiguousarray(getattr(self, name))
            digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()

    def _plain(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "genes": list(self.genes),
            "classes": list(self.classes),
            "ontology": {k: list(v) for k, v in self.ontology.items()},
            "threshold": self.threshold,
            "about": dict(self.about),
        }

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; one that is there is replaced.

        Parameters
        ----------
        path
            Where.
        """
        plain = {**self._plain(), "checksum": self.checksum()}
        text = np.frombuffer(json.dumps(plain, ensure_ascii=False).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        with replacing(path) as partial, partial.open("wb") as target:
            np.savez_compressed(target, plain=text, **arrays)

    @classmethod
    def load(cls, path: Path) -> ReferenceModel:
        """Read a file that :meth:`save` wrote.

        Parameters
        ----------
        path
            Where it is.

        Raises
        ------
        ModelError
            There is none, it is something else or of a newer version, or it is damaged.
        """
        if not path.is_file():
            message = f'There is no model "{path}".'
            hint = (
                "Train one: cellferry.train_reference(adata, labels, path), TrainReference() in R."
            )
            raise ModelError(message, hint)
        try:
            with np.load(path, allow_pickle=False) as found:
                plain = json.loads(found["plain"].tobytes().decode())
                schema = plain["schema"]
                arrays = {name: found[name] for name in _ARRAYS} if schema == SCHEMA else {}
        except _UNREADABLE as error:
            message = f'"{path}" is no model of cellferry, or it is damaged.'
            hint = "A model is what `train_reference()` wrote."
            raise ModelError(message, hint) from error
        if schema != SCHEMA:
            message = f'The model "{path}" has the schema "{schema}", and this is "{SCHEMA}".'
            raise ModelError(
                message, "It is of a newer cellferry: install that, or train it again."
            )
        try:
            made = cls(
                tuple(plain["genes"]),
                tuple(plain["classes"]),
                threshold=float(plain["threshold"]),
                ontology={k: (v[0], v[1]) for k, v in plain["ontology"].items()},
                about=plain["about"],
                **arrays,
            )
            damaged = made.checksum() != plain["checksum"] or not made._fits()
        except _UNREADABLE as error:
            raise _damaged(path) from error
        if damaged:
            raise _damaged(path)
        return made

    def _fits(self) -> bool:
        k, g = len(self.classes), len(self.genes)
        shapes = {
            "coefficients": (k, g), "intercepts": (k,), "means": (g,), "scales": (g,),
            "centroids": (k, g), "similarities": (k,),
        }  # fmt: skip
        return k > 1 and all(getattr(self, name).shape == shape for name, shape in shapes.items())

    def for_genes(self, genes: Sequence[str]) -> Scorer:
        """Return what scores cells of an object with these genes, in its order.

        Parameters
        ----------
        genes
            Of the object; those that the model lacks are not read, those that it has and the
            object lacks count as average.
        """
        return Scorer(self, *shared_genes(self.genes, genes))


_UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError,
               IndexError, zipfile.BadZipFile)  # fmt: skip


def _damaged(path: Path) -> ModelError:
    message = f'The model "{path}" is damaged: its checksum or its arrays are others.'
    return ModelError(message, "Copy it again, or train it again.")


@dataclass(frozen=True, eq=False)
class Scores:
    """What was found of the cells of a block.

    Attributes
    ----------
    probabilities
        Cells x classes.
    best
        The most probable class of each cell.
    similarity
        Cosine of each cell and the centroid of that class.
    is_empty
        Cells that express none of the genes that are shared.
    """

    probabilities: NDArray[np.float32]
    best: NDArray[np.intp]
    similarity: NDArray[np.float32]
    is_empty: NDArray[np.bool_]


class Scorer:
    """A model over the genes that it shares with an object; the matrix stays sparse.

    Parameters
    ----------
    model
        The model.
    own, columns
        Places of the shared genes in the model and in the object.
    """

    def __init__(
        self, model: ReferenceModel, own: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> None:
        self.model, self.columns = model, columns
        means = model.means[own].astype(np.float64)
        scales = model.scales[own].astype(np.float64)
        # (x - mean) / scale is never made: the mean's part is the same for all cells.
        weights = model.coefficients[:, own] / scales
        centroids = model.centroids[:, own].astype(np.float64)
        lengths = np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-9)
        direction = centroids / lengths / scales
        self._weights = np.vstack([weights, direction, [means / scales**2]]).T.astype(np.float32)
        self._offsets = np.concatenate(
            [model.intercepts - weights @ means, -direction @ means]
        ).astype(np.float32)
        self._inverse = (1 / scales**2).astype(np.float32)
        self._length = float(np.sum((means / scales) ** 2))

    @property
    def shared(self) -> int:
        """How many genes the object has of the model's."""
        return len(self.columns)

    def score(self, block: csr_matrix) -> Scores:
        """Score the cells of a block.

        Parameters
        ----------
        block
            Cells x genes of the object, log1p of 10,000.
        """
        own = block[:, self.columns]
        found = np.asarray(own @ self._weights, dtype=np.float32)
        k = len(self.model.classes)
        logits = found[:, :k] + self._offsets[:k]
        logits -= logits.max(axis=1, keepdims=True)
        exps = np.exp(logits)
        probabilities = exps / exps.sum(axis=1, keepdims=True)
        best = np.argmax(probabilities, axis=1)
        squares = own.copy()
        squares.data **= 2
        lengths = np.asarray(squares @ self._inverse).ravel() - 2 * found[:, -1] + self._length
        towards = np.take_along_axis(found[:, k:-1] + self._offsets[k:], best[:, None], axis=1)[
            :, 0
        ]
        similarity = towards / np.sqrt(np.maximum(lengths, 1e-9))
        return Scores(probabilities, best, similarity, np.diff(own.indptr) == 0)
