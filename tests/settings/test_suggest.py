"""A setting that does not exist is named with the one that was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.settings.load import from_mapping, load, packaged


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("camera.exposure=3", "acquisition.exposure_ms"),
        ("camera.pixel_size=100", "camera.pixel_nm"),
        ("camera.em_gian=3", "camera.em_gain"),
        ("camera.baseline=100", "camera.offset_adu"),
        ("camera.maps.ofset='a.npy'", "camera.maps.offset"),
        ("psf.sigma=130", "psf.sigma_nm"),
        ("feedback.target=0.1", "feedback.target_per_um2"),
        ("feedback.stop.second=3", "feedback.stop.seconds"),
        ("lasers.uv.maxpower=3", "lasers.uv.max_power"),
        ("aquisition.frames=3", "acquisition"),
    ],
)
def test_an_unknown_setting_comes_first_with_the_one_that_was_meant(wrong: str, meant: str) -> None:
    key = wrong.partition("=")[0]
    place = key if "." in meant else key.partition(".")[0]

    with pytest.raises(ConfigError, match=rf"unknown \w+ {place}: did you mean {meant}\?") as found:
        load(None, [wrong])

    assert str(found.value).index("unknown") < 60


def test_a_setting_outside_of_all_sections_is_found_in_its_section() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting pixel_nm: did you mean camera\.pixel"):
        from_mapping({"pixel_nm": 100})


def test_a_setting_that_is_like_no_other_is_named_with_all_of_its_section() -> None:
    with pytest.raises(ConfigError, match=r"unknown setting camera\.quux; there are .*pixel_nm"):
        load(None, ["camera.quux=1"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nope.toml", r"no file nope\.toml here; packaged configurations: demo\.toml, "),
        ("demo3d.toml", r"no file demo3d\.toml here: did you mean demo_3d\.toml\?"),
        ("demo", r"no file demo here: did you mean demo\.toml\?"),
    ],
)
def test_a_configuration_that_is_not_here_is_said_with_those_that_are(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load(Path(name))


def test_of_micro_manager_configurations_only_such_are_named() -> None:
    with pytest.raises(ConfigError, match=r"did you mean sim_palm\.cfg\?") as found:
        packaged("sim_palms.cfg")

    assert ".toml" not in str(found.value)


def test_the_folder_of_a_run_in_place_of_a_configuration_is_said_with_the_file(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError, match=r"is a folder; give a file, such as .*run\.toml"):
        load(tmp_path)
