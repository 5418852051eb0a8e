"""The packaged ANNA-PALM: what it makes of few localizations, with and without more light."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openvino", reason="the networks run on it")

from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.list_figures import as_shown, ms_ssim
from rtsmlm.bench.models.list_scenes import ListScene, list_scene
from rtsmlm.bench.models.list_sets import drawn, open_network
from rtsmlm.engines import widefield_light
from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.localizations import F32
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import load_manifest
from rtsmlm.physics.structures import StructureName

NAME = "annapalm"


@pytest.fixture(scope="module")
def scene() -> ListScene:
    return list_scene("filaments", np.random.default_rng(21))


@pytest.fixture(scope="module")
def entrant() -> Entrant:
    folder = find_model(NAME)
    return Entrant(name=NAME, folder=folder, manifest=load_manifest(folder))


def likeness(image: F32, scene: ListScene) -> float:
    """Return MS-SSIM with the whole image."""
    whole = drawn(scene.clean, 20.0)
    truth = np.clip(whole / np.percentile(whole, 99.9), 0.0, 1.0).astype(np.float64)
    return ms_ssim(as_shown(image, truth), truth)


def given(
    entrant: Entrant, scene: ListScene, fewer: float, widefield: F32 | None = None
) -> LocalizationImage:
    network = open_network(entrant, "filaments", "openvino", widefield=widefield)
    network.add_localizations(scene.first(fewer))
    return network


def test_a_tenth_of_the_frames_gives_the_filaments_of_all(
    entrant: Entrant, scene: ListScene
) -> None:
    network = given(entrant, scene, 10)

    answer = likeness(network.layer().image, scene)

    assert answer > 0.9
    assert answer > likeness(drawn(scene.first(10), 20.0), scene)


def test_what_is_unsure_lies_where_the_errors_are(entrant: Entrant, scene: ListScene) -> None:
    network = given(entrant, scene, 30)
    image, spread = network.layer().image, network.uncertainty().image
    whole = drawn(scene.clean, 20.0)

    error = np.abs(as_shown(image, whole / whole.max()) - whole / whole.max())

    unsure = spread > np.percentile(spread, 90)
    assert error[unsure].mean() > 5 * error[~unsure].mean()


def test_a_widefield_image_of_the_field_completes_a_hundredth_of_the_frames(
    entrant: Entrant, scene: ListScene
) -> None:
    light = scene.widefield(np.random.default_rng(1))
    alone, helped, misled = (
        given(entrant, scene, 100, widefield).layer()
        for widefield in (None, light, np.roll(light, 30, axis=1))
    )

    assert likeness(helped.image, scene) > 0.85
    assert likeness(helped.image, scene) > likeness(alone.image, scene) + 0.05
    assert helped.widefield
    assert not misled.widefield
    np.testing.assert_array_equal(misled.image, alone.image)


@pytest.mark.parametrize("structure", ["filaments", "mitochondria"])
def test_a_slope_under_the_widefield_image_changes_little_of_the_answer(
    entrant: Entrant, structure: StructureName, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = list_scene(structure, np.random.default_rng(22))
    light = scene.widefield(np.random.default_rng(1))
    # Twice the light of the structures from one side of the field to the other.
    slope = np.linspace(0, 2 * np.percentile(light, 99), light.shape[1], dtype=np.float32)

    def answer(light: F32) -> F32:
        network = open_network(entrant, structure, "openvino", widefield=light)
        network.add_localizations(scene.first(100))
        layer = network.layer()
        assert layer.widefield
        return layer.image

    def agreement() -> float:
        return float(np.corrcoef(answer(light).ravel(), answer(light + slope).ravel())[0, 1])

    assert agreement() > 0.98
    monkeypatch.setattr(widefield_light, "structures", lambda image, camera_nm: image)
    assert agreement() < 0.8, "what the network makes of the light as it is"


def test_the_model_states_what_it_completes_and_how_well() -> None:
    manifest = load_manifest(find_model(NAME))

    assert manifest.structures == ("filaments", "mitochondria", "nuclear-pores")
    assert manifest.image_pixel_nm == 20.0
    figures = {(row["condition"], row["figure"]): row["value"] for row in manifest.accuracy}
    assert float(figures["filaments, 10 x fewer", "MS-SSIM"]) > 0.8
