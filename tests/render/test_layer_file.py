"""Predicted layers as files: what is predicted, how sure it is, and where it came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.protocols import ImageLayer
from rtsmlm.render.layer_file import read_layer, write_layer


def test_an_uncertainty_is_the_second_plane_and_both_say_what_they_are(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    image = rng.random((30, 40)).astype(np.float32)
    layer = ImageLayer(
        "annapalm", 20.0, image, version="3", sha256="ab", n_localizations=1234,
        structure="filaments", widefield=True,
        corner_nm=(-90_050.0, 5_000_000.0), n_outside=7,
    )  # fmt: skip
    error = replace(layer, image=image / 10, quantity="uncertainty")

    path = write_layer(tmp_path, layer, uncertainty=error)

    assert path.name == "predicted_annapalm.tif"
    stored = read_layer(path)
    assert stored.uncertainty is not None
    np.testing.assert_array_equal(stored.layer.image, image)
    np.testing.assert_array_equal(stored.uncertainty.image, image / 10)
    assert (stored.layer.key, stored.uncertainty.key) == ("annapalm", "annapalm: uncertainty")
    assert stored.layer.n_localizations == stored.uncertainty.n_localizations == 1234
    assert (stored.layer.structure, stored.layer.widefield) == ("filaments", True)
    assert stored.layer.corner_nm == stored.uncertainty.corner_nm == (-90_050.0, 5_000_000.0)
    assert stored.layer.n_outside == 7
    with tifffile.TiffFile(path) as file:
        assert file.imagej_metadata is not None
        origin_px = file.imagej_metadata["xorigin"], file.imagej_metadata["yorigin"]
        assert origin_px == (4502.5, -250_000.0), "from the corner of the image to x = y = 0"
        assert file.imagej_metadata["Labels"] == ["prediction", "uncertainty"]
        assert "these are no localizations" in file.imagej_metadata["Info"]


def test_a_layer_alone_has_one_plane(tmp_path: Path) -> None:
    layer = ImageLayer("deepstorm", 25.0, np.ones((8, 9), np.float32), n_frames=3)

    stored = read_layer(write_layer(tmp_path, layer))

    assert stored.uncertainty is None
    assert stored.layer.image.shape == (8, 9)
    assert stored.layer.n_frames == 3
