"""The colours of labels: distinct, and the first ones for every colour vision."""

from __future__ import annotations

import numpy as np
import pytest

from cellferry.annotations.palette import PALETTE, SAFE

# Machado and others 2009, https://doi.org/10.1109/TVCG.2009.113, severity 1.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def oklab(colours, vision):
    """Return colours as they are seen, in Oklab, https://bottosson.github.io/posts/oklab/."""
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(VISIONS[vision]).T, 0, 1)
    cones = seen @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.cbrt(cones) @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )


def least_distance(colours, vision):
    values = oklab(colours, vision)
    apart = np.linalg.norm(values[:, None] - values[None], axis=-1)
    return (apart + np.eye(len(values))).min()


@pytest.mark.parametrize("page", [0, 1])
@pytest.mark.parametrize("vision", VISIONS)
def test_twelve_are_safe_for_every_colour_vision(page, vision):
    colours = [pair[page] for pair in PALETTE[:SAFE]]
    assert SAFE == 12
    # The ten colours of matplotlib's default cycle have 0.007 with protanopia.
    assert least_distance(colours, vision) > 0.07


@pytest.mark.parametrize("page", [0, 1])
def test_forty_are_different(page):
    assert len(PALETTE) == 40
    assert least_distance([pair[page] for pair in PALETTE], "normal") > 0.07
