"""Settings: what is read, what is refused, and how it is said."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rtsmlm.errors import ConfigError
from rtsmlm.settings.load import load, packaged
from rtsmlm.settings.run import RunSettings


def write(folder: Path, text: str) -> Path:
    path = folder / "rig.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "[camera]\npixel_nm = 108\noffset_adu = 400\n")

    settings = load(path, ["camera.offset_adu=99.5"], defaults={"camera": {"pixel_nm": 1.0}})

    assert settings.camera.pixel_nm == 108
    assert settings.camera.offset_adu == 99.5
    assert settings.camera.e_per_adu is None


def test_of_several_files_later_ones_win_and_earlier_ones_stay_where_they_are_silent(
    tmp_path: Path,
) -> None:
    texts = {
        "camera.toml": "[camera]\npixel_nm = 108\noffset_adu = 400\n",
        "rig.toml": "[camera]\npixel_nm = 65\n[psf]\nsigma_nm = 130\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    settings = load([tmp_path / name for name in texts], ["psf.sigma_nm=120"])

    assert settings.camera.pixel_nm == 65
    assert settings.camera.offset_adu == 400
    assert settings.psf.sigma_nm == 120


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[camera]\npixel_mn = 100\n", "camera.pixel_mn"),
        ("[camera]\npixel_nm = -3\n", "camera.pixel_nm"),
        ("[psf]\nsigma_nm = 'wide'\n", "psf.sigma_nm"),
        ("[results]\nname = '../escape'\n", "results.name"),
        ("[results]\nexport = ['xls']\n", "results.export"),
        ("[camera\n", "cannot read"),
        ("camera = 3\n", "camera"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_starts(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load(write(tmp_path, text))


@pytest.mark.parametrize("text", ["pixel_nm=3", "camera.pixel_nm", "=3", "camera.=3"])
def test_an_override_that_is_not_section_key_value_says_how_it_is_written(
    text: str,
) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load(None, [text])


def test_overrides_reach_device_properties_lists_and_nothing() -> None:
    settings = load(
        None,
        [
            "micromanager.properties.Camera.Dye=AF647",
            "micromanager.properties.Camera.Seed=3",
            "camera.maps.order=offset,variance,gain",
            "micromanager.roi=[0, 0, 64, 32]",
            "acquisition.frames=none",
        ],
    )

    assert settings.micromanager.properties == {"Camera.Dye": "AF647", "Camera.Seed": 3}
    assert settings.camera.maps.order == ("offset", "variance", "gain")
    assert settings.micromanager.roi == (0, 0, 64, 32)
    assert settings.acquisition.frames is None


def test_paths_in_a_file_are_relative_to_that_file(tmp_path: Path) -> None:
    (tmp_path / "offset.npy").write_bytes(b"")
    path = write(tmp_path, "[camera.maps]\noffset = 'offset.npy'\n")

    assert load(path).camera.maps.offset == (tmp_path / "offset.npy").resolve()


@pytest.mark.parametrize("name", ["../pyproject.toml", "nothing.toml", "__init__.py/x"])
def test_only_packaged_files_can_be_asked_for_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match="no file"):
        packaged(name)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_the_settings_of_a_finished_run_are_a_configuration_again(tmp_path: Path) -> None:
    from rtsmlm.files.run.folder import RunFolder

    before = load(
        None,
        [
            "camera.pixel_nm=108",
            "psf.sigma_nm=131.5",
            "micromanager.properties.Camera.Dye=AF647",
            "results.export=csv,picasso",
        ],
    )
    folder = RunFolder.create(tmp_path, "run")
    folder.write_settings(before, {"verdict": "ledger balances", "warnings": ["none"]})

    after = load(folder.settings)

    assert after.model_dump() == before.model_dump()
    assert after.run["verdict"] == "ledger balances"


def test_every_setting_has_a_sentence_of_its_own() -> None:
    silent = []
    for section, field in RunSettings.model_fields.items():
        for key, info in getattr(field.annotation, "model_fields", {}).items():
            if not info.description:
                silent.append(f"{section}.{key}")

    assert silent == []


def test_the_packaged_configurations_are_valid() -> None:
    names = sorted(p.name for p in packaged("demo.toml").parent.glob("*.toml"))

    assert {"demo.toml", "mm_demo.toml", "example_rig.toml"} <= set(names)
    for name in names:
        load(packaged(name))
        tomllib.loads(packaged(name).read_text(encoding="utf-8"))


def test_the_former_name_of_the_pipeline_section_is_refused_with_the_new_one() -> None:
    with pytest.raises(ConfigError, match=r"analysis\b.*\[analysis\] is called \[pipeline\]"):
        load(None, ["analysis.ring_mb=64"])
