"""The microscope database: what it says is used, said, and never put before what is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsmlm.calibration import StatedCalibration, UsualValue
from rtsmlm.drivers.micromanager.laser_presets import preset_of
from rtsmlm.errors import ConfigError
from rtsmlm.files.camera_maps import names_assumed, resolve_calibration, what_was_assumed
from rtsmlm.files.movies.metadata import Statements, add_micromanager
from rtsmlm.fitting.camera_estimate import estimate_camera
from rtsmlm.fitting.photon_transfer import Transfer
from rtsmlm.microscopes.database import OWN_FOLDER_VARIABLE, SHIPPED, known_cameras
from rtsmlm.microscopes.emu import emu_sections, read_emu
from rtsmlm.microscopes.usual import magnification_of, usual_values
from rtsmlm.settings.camera import CameraSettings

ZYLA = {
    "Camera": "sCMOS",
    "sCMOS-CameraName": "ZYLA 4.2 PLUS",
    "sCMOS-Sensitivity/DynamicRange": "16-bit (low noise & high well capacity)",
    "sCMOS-Binning": "1x1",
    "TINosePiece-Label": "1-Apo TIRF 100x NA 1.49 Oil",
}


def stated(tags: dict[str, object] | dict[str, str]) -> StatedCalibration:
    statements = Statements()
    add_micromanager(statements, tags)
    return statements.stated


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that writes a file of the user's own microscopes."""
    monkeypatch.setenv(OWN_FOLDER_VARIABLE, str(tmp_path))

    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_figure_that_ships_names_its_source() -> None:
    cameras = [camera for camera, origin in known_cameras() if origin == SHIPPED]

    assert len({camera.name for camera in cameras}) == len(cameras) >= 8
    for camera in cameras:
        for mode in (camera, *camera.modes):
            assert mode.sources.keys() == mode.figures.keys(), camera.name
            assert all(len(source) > 10 for source in mode.sources.values()), camera.name


def test_a_camera_is_known_by_its_name_and_its_gain_by_its_mode() -> None:
    found = {usual.name: usual.value for usual in stated(ZYLA).usual}

    assert found == {
        "offset_adu": 100,
        "e_per_adu": 0.45,
        "em_gain": 1,
        "read_noise_e": 0.9,
        "pixel_nm": 65,
    }
    other = stated(ZYLA | {"sCMOS-Sensitivity/DynamicRange": "12-bit (high well capacity)"})
    assert other.usual_value("e_per_adu") != stated(ZYLA).usual_value("e_per_adu")
    assert stated({"Camera": "Webcam", "Webcam-CameraName": "X1"}).usual == ()


def test_figures_of_the_database_give_way_to_whatever_is_stated() -> None:
    file = stated(ZYLA | {"sCMOS-ElectronsPerADU": "0.5"})
    calibration = resolve_calibration(CameraSettings(read_noise_e=2.0), file)

    assert calibration.e_per_adu == 0.5
    assert calibration.read_noise_e == 2.0
    assert calibration.offset_adu == 100
    assert calibration.pixel_nm == 65


def test_what_the_database_fills_in_is_said_with_its_source() -> None:
    phrases = "; ".join(what_was_assumed(CameraSettings(), stated(ZYLA)))

    assert "0.45 electrons per ADU (camera.e_per_adu)" in phrases
    assert "Andor Zyla 4.2" in phrases
    assert "hardware manual" in phrases
    assert "TINosePiece-Label = 1-Apo TIRF 100x" in phrases


def test_what_the_frames_show_wins_over_the_database() -> None:
    usual = (UsualValue("e_per_adu", 2.0, "Model", "data sheet"),)
    file = StatedCalibration(offset_adu=100.0, usual=usual)
    calibration = resolve_calibration(CameraSettings(), file)
    assumed = names_assumed(CameraSettings(), file)
    transfer = Transfer(
        slope=2.0,
        slope_std=0.02,
        foot_adu=100.0,
        foot_std=1.0,
        low_adu=150.0,
        low_variance=100.0,
        low_std=0.01,
    )

    found = estimate_camera(transfer, calibration, assumed)

    assert calibration.e_per_adu == 2.0
    assert found.values["e_per_adu"] == pytest.approx(0.5, rel=0.1)


def test_binned_pixels_take_their_size_and_no_other_figure() -> None:
    found = {usual.name: usual.value for usual in stated(ZYLA | {"sCMOS-Binning": "2x2"}).usual}

    assert found == {"em_gain": 1, "pixel_nm": 130}


def test_two_objectives_that_disagree_state_no_magnification() -> None:
    assert magnification_of({"Nosepiece-Label": "60X/1.4"}) == (60, "Nosepiece-Label = 60X/1.4")
    assert magnification_of({"Objective-Label": "10x", "Turret-Label": "1.5x"}) is None
    assert magnification_of({"Filter-Label": "100x"}) is None


def test_own_cameras_come_first_and_leave_the_rest_as_it_ships(own: Callable[[str], Path]) -> None:
    own(
        '[[cameras]]\nname = "left"\nwhen = { CameraID = "S/N: 7" }\n'
        'figures = { e_per_adu = 0.43 }\nsources = { e_per_adu = "measured in May" }\n'
    )
    mine = stated(ZYLA | {"sCMOS-CameraID": "S/N: 7"})
    other = stated(ZYLA | {"sCMOS-CameraID": "S/N: 8"})

    gain = mine.usual_value("e_per_adu")
    assert gain == UsualValue("e_per_adu", 0.43, "left", "measured in May")
    assert mine.usual_value("pixel_nm") == other.usual_value("pixel_nm")
    assert other.usual_value("e_per_adu") == stated(ZYLA).usual_value("e_per_adu")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[cameras]]\nname = "a"\nnamed = ["a*"]\nfigures = { e_per_adu = 1 }', "where e_per_adu"),
        ('[[cameras]]\nname = "a"\nnamed = ["a*"]\nfigures = { gain = 1 }', "figures.gain"),
        ('[[cameras]]\nname = "a"\nnamed = ["a*"]\nfigures = { e_per_adu = -1 }', "greater than"),
        ('[[cameras]]\nname = "a"', "by which it is known"),
        ('[[camera]]\nname = "a"', "camera: Extra"),
        ("[[cameras", "cannot read"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it(
    own: Callable[[str], Path], text: str, complaint: str
) -> None:
    path = own(text)

    with pytest.raises(ConfigError, match=complaint) as raised:
        usual_values("Camera", {})
    assert str(path) in str(raised.value)


def test_own_lasers_are_known_by_their_adapter(own: Callable[[str], Path]) -> None:
    text = (
        '[[lasers]]\nname = "ours"\nlibrary = "OurLasers"\npower = ["Level"]\nunit = "%"\n'
        'on = ["On"]\non_values = ["1"]\noff_values = ["0"]\n'
    )
    own(text)
    preset = preset_of("OurLasers", "Head")
    assert preset is not None
    assert (preset.name, preset.power, preset.unit) == ("ours", ("Level",), "%")

    own(text + "simulated = true\n")
    with pytest.raises(ConfigError, match="only the lasers that ship"):
        preset_of("OurLasers", "Head")
    own(text.replace('unit = "%"', 'unit = "W"'))
    with pytest.raises(ConfigError, match="unit: Input should be"):
        preset_of("OurLasers", "Head")


def test_an_emu_configuration_says_which_property_is_which_laser(tmp_path: Path) -> None:
    path = tmp_path / "rig.uicfg"
    properties = {
        "Laser 0 enable": "Luxx-405-Laser Operation Select",
        "Laser 0 enable - On value": "On",
        "Laser 0 enable - Off value": "Off",
        "Laser 0 power percentage": "Luxx-405-Laser Power Set-point Select [%]",
        "Laser 1 enable": "Unallocated",
        "Laser 1 power percentage": "Unallocated",
        "Filter wheel position": "Wheel-State",
    }
    other = {"configurationName": "old", "properties": {}}
    named = {"configurationName": "rig", "properties": properties}
    named["parameters"] = {"Laser 0 - Name": "405"}
    path.write_text(
        json.dumps({"defaultConfigurationName": "rig", "pluginConfigurations": [other, named]})
    )

    assert emu_sections(read_emu(path, ["Luxx-405", "Wheel"])) == {
        "laser_405": {
            "device": "Luxx-405",
            "power_property": "Laser Power Set-point Select [%]",
            "on_property": "Laser Operation Select",
            "on_value": "On",
            "off_value": "Off",
        }
    }
    path.write_text("{}")
    with pytest.raises(ConfigError, match="cannot read the EMU"):
        read_emu(path)


def test_the_metadata_of_a_real_microscope_give_its_pixel(
    data_dir: Callable[[str], Path],
) -> None:
    from rtsmlm.files.movies.open import open_movie

    folder = data_dir("dnapaint_micromanager")
    with open_movie(next(folder.glob("*.ome.raw"))) as movie:
        found = movie.stated

    assert found.pixel_nm is None  # Micro-Manager had no pixel size: 0.0
    pixel = found.usual_value("pixel_nm")
    assert pixel is not None
    assert pixel.value == 130  # 6.5 um, 100x, binned by 2: what its authors publish
    assert (found.e_per_adu, found.offset_adu) == (0.48, 400)
