"""The simulated microscope of two views: what falls where, and that its configuration knows it."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.drivers.simulated.truth import FrameTruth
from rtsmlm.drivers.simulated.views import draw_chip, dye_fractions, views_of
from rtsmlm.errors import ConfigError
from rtsmlm.physics.psf import GaussianPsf
from rtsmlm.settings.load import load, packaged

SETTINGS = MicroscopeSettings(
    width=96, height=64, views=2, second_emission="CF680", emitter_count=400
)


def spots(dye: int) -> FrameTruth:
    places = np.array([[1500.0, 2000.0], [3200.0, 4100.0]])
    return FrameTruth(
        frame=0, emitter=np.arange(2), x_nm=places[:, 0], y_nm=places[:, 1], z_nm=np.zeros(2),
        photons=np.full(2, 1000.0), background=np.zeros(2), drift_nm=np.zeros(3),
        dye=np.full(2, dye, dtype=np.uint8),
    )  # fmt: skip


@pytest.mark.parametrize("dye", [0, 1])
def test_light_of_a_dye_falls_on_both_halves_as_its_spectrum_is_split(dye: int) -> None:
    stray = np.zeros((64, 48), dtype=np.float32)

    image = draw_chip(SETTINGS, GaussianPsf(1.3), stray, spots(dye))

    parts = np.array([view.cut(image).sum() for view in views_of(SETTINGS)]) / 2000.0
    assert parts == pytest.approx(dye_fractions(SETTINGS)[dye], abs=2e-3)


def test_an_emitter_lies_in_the_second_view_where_the_transform_puts_it() -> None:
    image = draw_chip(SETTINGS, GaussianPsf(1.3), np.zeros((64, 48), np.float32), spots(1))

    view = views_of(SETTINGS)[1]
    x, y = view.from_first(np.array([[15.0, 20.0]]))[0]
    near = view.cut(image)[round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7]
    rows, columns = np.indices(near.shape) - 6
    assert (near * columns).sum() / near.sum() + round(x) == pytest.approx(x, abs=0.02)
    assert (near * rows).sum() / near.sum() + round(y) == pytest.approx(y, abs=0.02)


def test_the_packaged_configuration_states_views_and_shares_of_its_simulation() -> None:
    channels = load(packaged("sim_two_colour.toml")).channels
    layout = channels.layout()

    assert layout is not None
    assert list(layout) == list(views_of(MicroscopeSettings(views=2)))
    settings = MicroscopeSettings(views=2, second_emission="CF680")
    assert np.array(channels.fractions) == pytest.approx(dye_fractions(settings), abs=1e-3)


def test_the_truth_states_the_dye_of_each_emitter() -> None:
    microscope = SimMicroscope(SETTINGS)
    microscope.configure(all_on=True)
    microscope.frames(2)

    truth = microscope.emitters_in(0)

    assert set(np.unique(truth.channel)) == {0, 1}
    assert truth.x_nm.max() < 48 * SETTINGS.pixel_nm


def test_a_second_dye_in_one_view_is_refused() -> None:
    with pytest.raises(ConfigError, match="set views"):
        MicroscopeSettings(second_emission="CF680")
