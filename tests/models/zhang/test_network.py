"""The networks after Zhang et al., and the centroid method beside them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks are written in torch")

from rtsmlm.engines.class_networks import NetworkClasses  # noqa: E402
from rtsmlm.fitting.spectral_centroid import (  # noqa: E402
    centroids_nm,
    fit_rule,
    whole_spectrum_rule,
)
from rtsmlm.fitting.spectrum_boxes import cut_spectra  # noqa: E402
from rtsmlm.models.box_classes.losses import class_loss  # noqa: E402
from rtsmlm.models.catalog import model_folders  # noqa: E402
from rtsmlm.models.simulation.dye_ranges import SpectrumRanges  # noqa: E402
from rtsmlm.models.simulation.dye_spectra import SpectrumSampler  # noqa: E402
from rtsmlm.models.zhang.accuracy import compare  # noqa: E402
from rtsmlm.models.zhang.network import SAMPLES, build  # noqa: E402
from rtsmlm.physics.spectra import DYES, Grating  # noqa: E402

WAVELENGTHS_NM = np.linspace(600.0, 800.0, SAMPLES)
AT_2000 = SpectrumRanges(photons=(2000.0, 2001.0), background=(10.0, 10.1))
CALM = AT_2000.model_copy(
    update={
        "photons": (1e6, 1.001e6), "neighbour_fraction": 0.0, "slope": 0.0, "shift_nm": 0.0,
        "place_error_px": 0.0,
    }
)  # fmt: skip


def count(network: torch.nn.Module) -> int:
    return sum(value.numel() for value in network.parameters())


def test_both_sizes_have_their_parameters() -> None:
    assert count(build("paper", 3)) == 34_307
    assert count(build("SpeNet", 3)) == 8_027


def test_a_training_spectrum_has_the_mean_wavelength_of_its_dye() -> None:
    draw = SpectrumSampler(CALM, torch.device("cpu"))
    drawn = draw(60, torch.Generator().manual_seed(0))
    found = centroids_nm(drawn.photons[:, 0].numpy(), WAVELENGTHS_NM, (600.0, 800.0))
    for k, name in enumerate(CALM.names):
        # Some light of each dye lies beyond 800 nm.
        assert found[drawn.dye.numpy() == k].mean() == pytest.approx(DYES[name].mean_nm(), abs=2.0)


def test_the_engine_cuts_spectra_as_the_training_draws_them(rng: np.random.Generator) -> None:
    dye, grating, sigma = DYES["AF647"], Grating(5.0, 690.0), 1.3
    x_ref, y_ref = 60.3, 10.4
    columns, rows = np.arange(130.0), np.arange(24.0)
    nm = dye.points_nm()
    place = x_ref + grating.displacement_px(nm)
    along = np.exp(-0.5 * ((columns[:, None] - place) / sigma) ** 2) @ dye.at(nm)
    across = np.exp(-0.5 * ((rows - y_ref) / sigma) ** 2)
    light = 1e4 * np.outer(across / across.sum(), along / along.sum())
    frames = np.rint(light[None] + 100.0).astype(np.uint16)
    frames.flags.writeable = False
    flat = np.full(frames.shape[1:], 1.0, dtype=np.float32)
    spectra, inside = np.empty((2, 7, SAMPLES), dtype=np.float32), np.empty(2, dtype=np.bool_)

    cut_spectra(
        frames, 100.0 * flat, flat, np.zeros(2, dtype=np.int32), np.array([x_ref, 3.0]),
        np.array([y_ref, y_ref]), grating.displacement_px(WAVELENGTHS_NM), spectra, inside,
    )  # fmt: skip

    assert inside.tolist() == [True, False], "the second one lies beyond the frame"
    # Photons per pixel at 1 nm steps: five samples a pixel.
    assert spectra[0].sum() / 5.0 == pytest.approx(1e4, rel=0.05)
    found = centroids_nm(spectra[:1], WAVELENGTHS_NM, (600.0, 800.0))
    assert found[0] == pytest.approx(dye.mean_nm(), abs=1.5)


def test_spectra_20_nm_apart_are_mistaken_in_less_than_2_of_100_at_2000_photons() -> None:
    torch.manual_seed(0)
    dyes = (DYES["AF647"], DYES["AF647"].moved(20.0))
    draw = SpectrumSampler(AT_2000, torch.device("cpu"), dyes)
    network, generator = build("paper", 2), torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(60):
        drawn = draw(64, generator)
        loss = class_loss(network(drawn.photons), drawn.dye)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn = draw(1000, torch.Generator().manual_seed(2))
    with torch.no_grad():
        wrong = (network.eval()(drawn.photons).argmax(1) != drawn.dye).float().mean()
    assert float(wrong) < 0.02


def test_the_centroid_method_knows_dyes_by_the_side_of_the_border_they_lie_on() -> None:
    draw = SpectrumSampler(CALM, torch.device("cpu"))
    drawn = draw(200, torch.Generator().manual_seed(3))
    spectra, dye = drawn.photons[:, 0].numpy(), drawn.dye.numpy()
    rule = fit_rule(spectra, dye, WAVELENGTHS_NM)
    found, margin = rule(spectra)
    assert np.mean(found == dye) > 0.97
    assert np.all(np.diff(rule.centers_nm) > 0.0)
    assert margin.min() >= 0.0


def test_of_two_methods_the_one_whose_mistakes_are_its_least_sure_answers_can_use_more() -> None:
    truth = np.zeros(100, dtype=np.int64)
    dye = np.zeros(100, dtype=np.int64)
    dye[:10] = 1
    knows, does_not = np.linspace(0.0, 1.0, 100), np.linspace(1.0, 0.0, 100)
    found = compare((dye, knows), (dye, does_not), truth)
    assert found.wrong == found.wrong_centroid == pytest.approx(0.1)
    assert found.use == pytest.approx(0.9)
    assert found.use_centroid == 0.0


@pytest.mark.skipif("zhang" not in model_folders(), reason="its weights are not there yet")
@pytest.mark.parametrize("name", ["zhang", "zhang-spenet"])
def test_packaged_weights_mistake_far_fewer_dyes_than_the_centroid(name: str) -> None:
    classes = NetworkClasses(model_folders()[name], "torch", min_probability=0.5)
    pair = AT_2000.model_copy(update={"names": AT_2000.names[:2]})
    draw = SpectrumSampler(pair, torch.device("cpu"))
    drawn = draw(2000, torch.Generator().manual_seed(4))
    known = draw(2000, torch.Generator().manual_seed(5))
    spectra, dye = drawn.photons[:, 0].numpy(), drawn.dye.numpy()
    wrong = np.mean(classes.probabilities(spectra)[:, :2].argmax(axis=1) != dye)
    best, whole = (
        np.mean(
            way(known.photons[:, 0].numpy(), known.dye.numpy(), WAVELENGTHS_NM)(spectra)[0] != dye
        )
        for way in (fit_rule, whole_spectrum_rule)
    )
    assert wrong < 0.01
    assert wrong < best / 2.0
    assert wrong < whole / 10.0
