"""Whether the light of a rig follows the exposure signal: told only where a setting shows it."""

from __future__ import annotations

import pytest
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.drivers.micromanager.gating import devices_of_core, devices_of_text, gating_of
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.load import packaged

RIG = """
Device,COM5,SerialManager,COM5
Device,UV,Vortran,Stradus
Device,Red,MicroFPGA,Laser Trigger
Device,Cam,HamamatsuHam,HamamatsuHam_DCAM
Device,DAQ,NIDAQ,NIDAQHub
Property,UV,DigitalModulation,{value}
ConfigGroup,System,Startup,Cam,OUTPUT TRIGGER KIND[0],EXPOSURE
"""


def lasers(**labels: str) -> dict[str, LaserSettings]:
    return {name: LaserSettings(device=label) for name, label in labels.items()}


@pytest.mark.parametrize(
    ("value", "gated"),
    [("ON", True), ("Digital", True), ("External trigger", True), ("OFF", False), ("CW", False)],
)
def test_a_laser_counts_as_gated_only_with_its_modulation_on(value: str, gated: bool) -> None:
    found = gating_of(devices_of_text(RIG.format(value=value)), lasers(uv="UV", red="Red"), "Cam")

    assert ("uv" in found.gated) is gated
    assert found.gated["red"] == "pulses of MicroFPGA"
    assert found.camera_output == "OUTPUT TRIGGER KIND[0] = EXPOSURE"
    assert found.controllers == ("MicroFPGA", "NIDAQ")
    assert ("not known for uv" in found.sentence) is not gated


def test_settings_of_the_run_come_after_those_of_the_file() -> None:
    devices = devices_of_text(RIG.format(value="ON"), {"UV.DigitalModulation": "OFF"})

    assert gating_of(devices, lasers(uv="UV")).not_known == ("uv",)


def test_where_nothing_shows_it_gating_is_recommended_and_said_not_to_be_known() -> None:
    core = UniMMCore()
    core.loadSystemConfiguration(packaged("hil_sim.cfg"))
    devices = devices_of_core(core, ("Laser405", "Camera"))
    release_core(core)

    sentence = gating_of(devices, lasers(activation="Laser405"), "Camera").sentence

    assert sentence.startswith("not known for activation: let the exposure output of the camera")
    assert gating_of({}, {}).sentence == "no lasers are configured"
