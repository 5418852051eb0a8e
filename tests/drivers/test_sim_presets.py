"""Presets of the simulated microscope: PSFs that reach over microns, and PSFs from files."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.optics import make_psf
from rtsmlm.drivers.simulated.settings import MicroscopeSettings, PsfName
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.physics.psf import Psf, TablePsf
from rtsmlm.physics.psf_file import save_psf
from rtsmlm.settings.load import packaged

PIXEL_NM = 110.0
DEPTH_NM = {"tetrapod": 4000.0, "double-helix": 1600.0, "aberrated": 700.0}
COMPUTED = tuple(DEPTH_NM)


def settings_of(name: PsfName, **changes: object) -> MicroscopeSettings:
    values = {
        "psf": name, "pixel_nm": PIXEL_NM, "na": 1.45, "depth_nm": DEPTH_NM.get(name, 600.0),
    }  # fmt: skip
    return MicroscopeSettings(**(values | changes))  # type: ignore[arg-type]


@cache
def psf_of(name: PsfName) -> Psf:
    return make_psf(settings_of(name))


def spot(psf: Psf, x_px: float, z_nm: float) -> np.ndarray:
    image = np.zeros((61, 61), dtype=np.float32)
    psf.render(image, *(np.array([v]) for v in (x_px, 29.6, z_nm, 5000.0)))
    return image


@pytest.mark.parametrize("name", COMPUTED)
def test_no_photon_of_a_preset_is_lost_at_any_depth_and_place(name: PsfName) -> None:
    half_nm = DEPTH_NM[name] / 2
    for x_px, z_nm in ((30.0, -half_nm), (30.4, 0.0), (29.7, half_nm)):
        assert spot(psf_of(name), x_px, z_nm).sum() == pytest.approx(5000.0, rel=1e-3)


@pytest.mark.parametrize("name", COMPUTED)
def test_planes_reach_beyond_the_sample_and_are_dense_enough(name: PsfName) -> None:
    table = psf_of(name)
    assert isinstance(table, TablePsf)
    last_nm = table.z_first_nm + table.z_step_nm * (len(table.sums) - 1)
    assert -table.z_first_nm == pytest.approx(last_nm)
    assert last_nm >= DEPTH_NM[name] / 2 + 200.0
    # Between planes a spot is the mean of its neighbours: they must be much alike.
    for z_nm in np.linspace(-DEPTH_NM[name] / 2, DEPTH_NM[name] / 2, 7):
        low, high = (spot(table, 30.0, z_nm + d).ravel() for d in (0.0, table.z_step_nm))
        assert np.corrcoef(low, high)[0, 1] > 0.9


@pytest.mark.parametrize("name", ["vectorial", *COMPUTED])
def test_frames_hold_the_light_of_the_truth_within_shot_noise(
    name: PsfName, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in COMPUTED:
        monkeypatch.setattr("rtsmlm.drivers.simulated.microscope.make_psf", lambda _: psf_of(name))
    microscope = SimMicroscope(
        settings_of(name, width=96, height=96, sensor="ideal", background=0.0, emitter_count=30,
                    dye="DNA-PAINT", all_on=True, exposure_ms=20.0, structure="uniform"),
        power_mw={640: 3.0},
    )  # fmt: skip
    pixels = microscope.frames(8)

    photons = microscope.calibration().to_photons(pixels).sum()
    rows = [microscope.emitters_in(frame, 0.0) for frame in range(8)]
    # Lobes of emitters near the edge lie outside: their light is drawn on a wider field.
    wide = np.zeros((96, 96), dtype=np.float32)
    for row in rows:
        psf_of(name).render(
            wide, row.x_nm.astype(np.float64) / PIXEL_NM, row.y_nm.astype(np.float64) / PIXEL_NM,
            row.z_nm.astype(np.float64), row.photons.astype(np.float64),
        )  # fmt: skip
    truth = sum(float(row.photons.sum()) for row in rows)
    assert 0.7 * truth < wide.sum() <= truth * (1 + 1e-4)
    assert abs(photons - wide.sum()) < 5 * np.sqrt(truth) + 1e-3 * truth


def test_a_psf_file_is_what_the_microscope_shows(tmp_path: Path) -> None:
    table = psf_of("double-helix")
    assert isinstance(table, TablePsf)
    path = tmp_path / "psf.npz"
    save_psf(path, table, pixel_nm=PIXEL_NM, origin="A double helix.")

    shown = make_psf(settings_of("file", psf_file=str(path)))

    np.testing.assert_array_equal(spot(shown, 30.2, 100.0), spot(table, 30.2, 100.0))
    with pytest.raises(ConfigError, match=r"pixels of 110 nm, the camera has 160 nm"):
        make_psf(settings_of("file", psf_file=str(path), pixel_nm=160.0))
    with pytest.raises(ConfigError, match="psf_file is empty"):
        make_psf(settings_of("file"))
    with pytest.raises(FileFormatError, match=r"none\.npz"):
        make_psf(settings_of("file", psf_file=str(tmp_path / "none.npz")))


def test_what_is_wrong_with_a_setting_is_said_to_who_starts_the_sequence(
    tmp_path: Path,
) -> None:
    core = UniMMCore()
    core.loadSystemConfiguration(packaged("sim_microscope.cfg"))
    core.setProperty("Camera", "Pacing", "fast")
    core.setProperty("Camera", "PSFFile", str(tmp_path / "none.npz"))
    core.setProperty("Camera", "PSF", "file")

    with pytest.raises(FileFormatError, match=r"cannot read .*none\.npz: No such file"):
        core.startSequenceAcquisition(3, 0, True)

    assert not core.isSequenceRunning()
    core.setProperty("Camera", "PSF", "gaussian")
    core.startSequenceAcquisition(3, 0, True)
    while core.isSequenceRunning():
        time.sleep(0.001)
    assert core.getRemainingImageCount() == 3
    core.reset()


def test_an_aperture_that_no_objective_has_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"at most 1\.51"):
        MicroscopeSettings(na=1.6)
