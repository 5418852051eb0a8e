"""Simulated lasers of a rehearsal shine into files, real ones are left as they are."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.hil.rig import HilRig
from rtsmlm.hil.simulated_heads import with_light_files
from rtsmlm.settings.load import load


def test_simulated_lasers_of_the_settings_get_a_state_file_each(tmp_path: Path) -> None:
    settings = load(Path("hil_sim.toml"))

    changed = with_light_files(settings, tmp_path / "light")

    text = Path(changed.micromanager.config).read_text(encoding="utf-8")
    assert text.count(",StateFile,") == 2, "the 561 nm laser is in no settings"
    before, after = text.split("#py Property,Core,Initialize,1")
    assert f"Laser405,StateFile,{tmp_path / 'light' / 'Laser405.json'}" in before
    assert "StateFile" not in after
    assert with_light_files(changed, tmp_path / "other") == changed, "those have one"


def test_devices_of_micro_manager_are_left_as_they_are(tmp_path: Path) -> None:
    settings = load(Path("hil_mm_demo.toml"))

    assert with_light_files(settings, tmp_path) == settings
    assert list(tmp_path.iterdir()) == []


def test_their_light_is_seen_from_outside_and_in_the_sample(tmp_path: Path) -> None:
    rig = HilRig(load(Path("hil_sim.toml")), tmp_path, arm=True)
    traits = rig.traits_of("activation")
    light_file = traits.light_file

    rig.lasers["activation"].set(20.0)

    assert traits.outlives_process
    assert light_file is not None
    assert '"on":         true' in light_file.read_text(encoding="utf-8")
    assert rig.microscope.laser_mw(405) > 0
    # Another program switches it off.
    text = light_file.read_text(encoding="utf-8")
    light_file.write_text(text.replace("true", "false"), encoding="utf-8")
    assert rig.microscope.laser_mw(405) == 0.0
    rig.close()
