"""`rtsmlm doctor rig.toml` tells whether lasers are gated, and loads no device for it."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.cli.doctor import _gating

CFG = """
Device,UV,Vortran,Stradus
Device,Cam,HamamatsuHam,HamamatsuHam_DCAM
Property,UV,DigitalModulation,{value}
"""


def rig(folder: Path, value: str) -> Path:
    (folder / "rig.cfg").write_text(CFG.format(value=value), encoding="utf-8")
    path = folder / "rig.toml"
    path.write_text(
        "[micromanager]\nconfig = 'rig.cfg'\n[lasers.uv]\ndevice = 'UV'\n", encoding="utf-8"
    )
    return path


def test_a_laser_with_digital_modulation_is_told_to_be_gated(tmp_path: Path) -> None:
    found = _gating(rig(tmp_path, "ON"))

    assert found.good
    assert found.found.startswith("uv (DigitalModulation = ON): see it dark")


def test_one_without_is_not_known_to_be_and_gating_is_recommended(tmp_path: Path) -> None:
    found = _gating(rig(tmp_path, "OFF"))

    assert not found.good
    assert "not known for uv" in found.found
    assert "docs/safety.md" in found.found
    assert not found.remedy.startswith("needed"), "it is a recommendation"


def test_without_a_configuration_it_says_how_to_name_one() -> None:
    assert "rtsmlm doctor rig.toml" in _gating(None).remedy
