"""Every preset against a device that has the properties of its adapter, and no others."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pymmcore_plus import PropertyType

from rtsmlm.drivers.micromanager.device_facts import DeviceFacts
from rtsmlm.drivers.micromanager.laser import MicroManagerLaser
from rtsmlm.drivers.micromanager.laser_presets import all_presets, preset_named, preset_of
from rtsmlm.drivers.micromanager.laser_properties import lines_of, resolve, same_value
from rtsmlm.errors import ConfigError
from rtsmlm.settings.lasers import LaserSettings

ON_OFF = ("Off", "On")


@dataclasses.dataclass(frozen=True)
class Adapter:
    """What the source of an adapter says; a property is value, allowed values or limits."""

    library: str
    device: str
    properties: dict[str, Any]
    power: str
    unit: str
    limits: tuple[float, float]
    on: tuple[str, str, str] | None = None
    """Property, value for on, value for off."""
    measured: str | None = None
    faults: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Value when all is well and when it is not; "hub:" for those of the hub."""
    turns_off: bool | None = None


def coherent(library: str, device: str) -> Adapter:
    return Adapter(
        library,
        device,
        {
            "PowerSetpoint": ("5", (1.0, 100.0)),
            "PowerReadback": ("5",),
            "State": ("0", ("0", "1")),
            "Minimum Laser Power": ("0.001",),
            "Maximum Laser Power": ("0.1",),
            "Wavelength": ("405",),
            "HeadID": ("1",),
        },
        "PowerSetpoint",
        "mW",
        (1.0, 100.0),
        on=("State", "1", "0"),
    )


ADAPTERS = {
    "obis": dataclasses.replace(coherent("CoherentOBIS", "CoherentObis"), turns_off=False),
    "cube": coherent("CoherentCube", "CoherentCube"),
    "sapphire": coherent("Sapphire", "Sapphire"),
    "ibeam-smart": Adapter(
        "Toptica_iBeamSmart",
        "iBeamSmart-Simple",
        {
            "Power (mW)": ("0", (0.0, 120.0)),
            "Laser Operation": ("Off", ON_OFF),
            "Maximum power (mW)": ("120",),
            "Clipping status": ("PASS",),
        },
        "Power (mW)",
        "mW",
        (0.0, 120.0),
        on=("Laser Operation", "On", "Off"),
        faults={"Clipping status": ("GOOD", "FAIL")},
        turns_off=True,
    ),
    "omicron": Adapter(
        "Omicron",
        "Omicron Laserage",
        {
            "Laser Power Set-point Select [%]": ("0",),
            "Laser Power Set-point Select [mW]": ("0",),
            "Laser Operation Select": ("Off", ON_OFF),
            "Laser Power Status [mW]": ("3,25 mW",),
            "Specified Power [mW]": ("60 mW",),
            "Error": ("No Error",),
        },
        "Laser Power Set-point Select [mW]",
        "mW",
        (0.0, 60.0),
        on=("Laser Operation Select", "On", "Off"),
        measured="Laser Power Status [mW]",
        faults={"Error": ("No Error", "Interlock loop is open")},
        turns_off=True,
    ),
    "cobolt": Adapter(
        "Cobolt",
        "Cobolt",
        {
            "Power": ("0", (0.0, 50.0)),
            "Laser": ("Off", ON_OFF),
            "Power Status": ("3.25",),
            "Power Setpoint": ("0",),
            "Power Maximum": ("50",),
            "Interlock": ("Closed",),
            "Fault": ("No Fault",),
        },
        "Power",
        "mW",
        (0.0, 50.0),
        on=("Laser", "On", "Off"),
        measured="Power Status",
        faults={"Interlock": ("Closed", "Open"), "Fault": ("No Fault", "Constant Power Fault")},
        turns_off=False,
    ),
    "cobolt-official": Adapter(
        "CoboltOfficial",
        "Cobolt Laser",
        {
            "Power Setpoint [mW]": ("0", (0.0, 50.0)),
            "Emission Status": ("closed", ("closed", "open")),
            "Laser State": ("On",),
            "Power Reading [mW]": ("3.25",),
            "Laser Fault": ("No Fault",),
        },
        "Power Setpoint [mW]",
        "mW",
        (0.0, 50.0),
        on=("Emission Status", "open", "closed"),
        measured="Power Reading [mW]",
        faults={"Laser Fault": ("No Fault", "Interlock")},
        turns_off=False,
    ),
    "oxxius": Adapter(
        "Oxxius",
        "Oxxius LaserBoxx LBX or LMX or LCX",
        {
            "Power set point (%)": ("0", (0.0, 110.0)),
            "Emission": ("Off", ON_OFF),
            "Monitored power (mW)": ("3.25",),
            "OnInterlock": ("Closed",),
            "Alarm": ("No alarm",),
        },
        "Power set point (%)",
        "%",
        (0.0, 110.0),
        on=("Emission", "On", "Off"),
        faults={"OnInterlock": ("Closed", "Open"), "Alarm": ("No Alarm", "Out-of-bounds power")},
        turns_off=True,
    ),
    "oxxius-combiner": Adapter(
        "OxxiusCombiner",
        "LaserBoxx 1",
        {"Power set point": ("0", (0.0, 100.0)), "Emission": ("OFF", ("ON", "OFF"))},
        "Power set point",
        "%",
        (0.0, 100.0),
        on=("Emission", "ON", "OFF"),
        faults={
            "hub:Interlock circuit": ("Closed", "Open"),
            "hub:EmissionKey": ("Armed", "Disarmed"),
        },
        turns_off=False,
    ),
    "vortran": Adapter(
        "Vortran",
        "VLTStradus",
        {
            "PowerSetting": ("0",),
            "LaserEmission": ("OFF", ("OFF", "ON")),
            "Power": ("3.25",),
            "Interlock": ("OK",),
            "FaultCode": ("0",),
        },
        "PowerSetting",
        "mW",
        (0.0, 40.0),
        on=("LaserEmission", "ON", "OFF"),
        measured="Power",
        faults={"Interlock": ("OK", "INTERLOCK OPEN!"), "FaultCode": ("0", "4")},
        turns_off=True,
    ),
    "mpb": Adapter(
        "MPBLaser",
        "MPBLaser",
        {
            "Power Setpoint": ("200", (200.0, 1000.0)),
            "Switch On/Off": ("Off", ON_OFF),
            "Key Lock Status": ("Unlocked",),
        },
        "Power Setpoint",
        "mW",
        (200.0, 1000.0),
        on=("Switch On/Off", "On", "Off"),
    ),
    "andor-alc": Adapter(
        "AndorLaserCombiner",
        "AndorLaserCombiner",
        {
            "PowerSetpoint405": ("0", (0.0, 10.0)),
            "PowerReadback405": ("3.25",),
            "Enable405": ("Off", ("On", "Off", "External TTL")),
        },
        "PowerSetpoint405",
        "V",
        (0.0, 10.0),
        on=("Enable405", "On", "Off"),
        turns_off=False,
    ),
    "laser-quantum": Adapter(
        "LaserQuantumLaser",
        "Laser",
        {"Power (mW)": ("0", (0.0, 500.0)), "Laser Operation": ("Off", ON_OFF)},
        "Power (mW)",
        "mW",
        (0.0, 500.0),
        on=("Laser Operation", "On", "Off"),
        turns_off=True,
    ),
    "laser-engine": Adapter(
        "IntegratedLaserEngine",
        "Integrated Laser Engine",
        {
            "Laser 405-Power Setpoint": ("0", (0.0, 100.0)),
            "Laser 405-Power Enable": ("Off", ("On", "Off", "External TTL")),
            "Interlock Flag Status": ("Inactive",),
        },
        "Laser 405-Power Setpoint",
        "%",
        (0.0, 100.0),
        on=("Laser 405-Power Enable", "On", "Off"),
        faults={"Interlock Flag Status": ("Inactive", "Active")},
    ),
    "microfpga": Adapter(
        "MicroFPGA",
        "Laser Trigger",
        {
            "Duration0 (us)": ("0", (0, 1_048_575), PropertyType.Integer),
            "Mode0": (
                "0 - Off",
                ("0 - Off", "1 - On", "2 - Rising", "3 - Falling", "4 - Follow"),
            ),
            "Sequence0": ("65535", (0, 65535), PropertyType.Integer),
        },
        "Duration0 (us)",
        "us",
        (0.0, 1_048_575.0),
        on=("Mode0", "2 - Rising", "0 - Off"),
        turns_off=False,
    ),
    "nidaq": Adapter(
        "NIDAQ", "NIDAQAO-Dev1/ao0", {"Voltage": ("0", (0.0, 5.0))}, "Voltage", "V", (0.0, 5.0)
    ),
    "triggerscope": Adapter(
        "TriggerScopeMM",
        "TriggerScopeMM-DAC01",
        {"Volts": ("0", (0.0, 10.0)), "Sequence": ("On",)},
        "Volts",
        "V",
        (0.0, 10.0),
    ),
    "demo-da": Adapter(
        "DemoCamera",
        "D-DA",
        {"Volts": ("0", (0.0, 10.0)), "Trigger": ("-",)},
        "Volts",
        "V",
        (0.0, 10.0),
        turns_off=False,
    ),
    "sim-laser": dataclasses.replace(
        coherent("rtsmlm.drivers.simulated.laser", "SimLaser405"),
        properties=coherent("", "").properties
        | {"PowerMeasured_mW": ("3.25",), "Interlock": ("OK",)},
        measured="PowerMeasured_mW",
        faults={"Interlock": ("OK", "OPEN")},
        turns_off=False,
    ),
    "file-laser": dataclasses.replace(
        coherent("rtsmlm.drivers.simulated.file_laser", "FileLaser"), turns_off=False
    ),
}

each_adapter = pytest.mark.parametrize("name", ADAPTERS)


@pytest.fixture
def build(bench: Any) -> Any:
    """Return a function that makes a core with one device, and its hub if it needs one."""
    core_class, device_class, property_class = bench

    def make(adapter: Adapter) -> Any:
        properties = {}
        for name, (value, *rest) in adapter.properties.items():
            known = property_class(value)
            for what in rest:
                if isinstance(what, PropertyType):
                    known.kind = what
                elif isinstance(what[0], str):
                    known.allowed, known.kind = what, PropertyType.String
                else:
                    known.limits = what
            properties[name] = known
        of_hub = {
            key[4:]: property_class(ok)
            for key, (ok, _) in adapter.faults.items()
            if key.startswith("hub:")
        }
        devices = {"L": device_class(adapter.library, adapter.device, properties)}
        if of_hub:
            devices["L"].parent = "Hub"
            devices["Hub"] = device_class(adapter.library, "Hub", of_hub)
        return core_class(devices)

    return make


def settings(**stated: Any) -> LaserSettings:
    return LaserSettings(device="L", **({"max_power": 40.0} | stated))


def test_every_preset_is_tried_here() -> None:
    assert [preset.name for preset in all_presets()] == list(ADAPTERS)


@each_adapter
def test_a_preset_is_found_by_adapter_and_device(name: str) -> None:
    adapter = ADAPTERS[name]

    found = preset_of(adapter.library, adapter.device)

    assert found is not None
    assert found.name == name
    assert preset_of(adapter.library + "2", adapter.device) is None
    assert found.turns_off is adapter.turns_off


@each_adapter
def test_power_comes_before_light_and_darkness_ends_at_off(name: str, build: Any) -> None:
    adapter = ADAPTERS[name]
    core = build(adapter)
    laser = MicroManagerLaser(core, "a", settings())
    low, high = laser.limits()
    assert (low, high) == adapter.limits
    assert laser.unit == adapter.unit
    assert core.commands == []  # opening commands nothing

    laser.set(high)

    sent = [(prop, float(value) if prop == adapter.power else value)
            for _, prop, value in core.commands]  # fmt: skip
    assert sent == [(adapter.power, high), *([adapter.on[:2]] if adapter.on else [])]
    assert laser.setpoint() == high
    core.commands.clear()

    assert laser.make_safe() == []

    sent = [(prop, float(value) if prop == adapter.power else value)
            for _, prop, value in core.commands]  # fmt: skip
    assert sent == [
        (adapter.power, low),
        *([(adapter.on[0], adapter.on[2])] if adapter.on else []),
    ]
    assert laser.setpoint() == 0.0
    assert laser.make_safe() == []


@each_adapter
def test_only_a_measurement_is_taken_for_one(name: str, build: Any) -> None:
    adapter = ADAPTERS[name]
    laser = MicroManagerLaser(build(adapter), "a", settings())

    assert laser.properties.readback == adapter.measured
    assert laser.readback() == (3.25 if adapter.measured else None)


@each_adapter
def test_faults_are_told(name: str, build: Any) -> None:
    adapter = ADAPTERS[name]
    core = build(adapter)
    laser = MicroManagerLaser(core, "a", settings())
    assert len(laser.properties.faults) == len(adapter.faults)

    for key, (well, ill) in adapter.faults.items():
        device, prop = ("Hub", key[4:]) if key.startswith("hub:") else ("L", key)
        known = core.property(device, prop)
        known.value = well
        assert laser.fault() is None
        known.value = ill
        assert laser.fault() == f"{device}.{prop} is {ill}"
        known.value = well


@pytest.mark.parametrize("limits", [None, (100.0, 100.0)])
def test_an_obis_without_limits_of_its_own_is_asked_for_those_it_states_in_watts(
    limits: tuple[float, float] | None, build: Any
) -> None:
    core = build(ADAPTERS["obis"])
    core.property("L", "PowerSetpoint").limits = limits

    assert MicroManagerLaser(core, "a", settings()).limits() == (1.0, 100.0)


def test_numbered_properties_go_by_the_power_that_is_stated(build: Any) -> None:
    adapter = ADAPTERS["laser-engine"]
    more = {
        "Laser 561_1-Power Setpoint": ("0", (0.0, 100.0)),
        "Laser 561_1-Power Enable": ("Off", ("On", "Off")),
    }
    core = build(dataclasses.replace(adapter, properties=adapter.properties | more))
    preset = preset_named("laser-engine")
    assert preset is not None
    assert lines_of(preset, core.values("L")) == {
        "405": "Laser 405-Power Setpoint",
        "561_1": "Laser 561_1-Power Setpoint",
    }

    with pytest.raises(ConfigError, match=r"several lasers; state power_property, one of .*405"):
        MicroManagerLaser(core, "a", settings())

    laser = MicroManagerLaser(core, "a", settings(power_property="Laser 561_1-Power Setpoint"))
    assert laser.properties.on == "Laser 561_1-Power Enable"


def test_older_microfpga_firmware_counts_its_modes(build: Any) -> None:
    old = {
        "Duration3": ("0", (0, 65535), PropertyType.Integer),
        "Mode3": ("0", (0, 4), PropertyType.Integer),
    }
    core = build(dataclasses.replace(ADAPTERS["microfpga"], properties=old))
    laser = MicroManagerLaser(core, "a", settings(max_power=None))

    laser.set(1500.4)

    assert core.values("L") == {"Duration3": "1500", "Mode3": "2"}
    assert laser.make_safe() == []
    assert core.values("L") == {"Duration3": "0", "Mode3": "0"}


def test_an_omicron_in_percent_is_not_compared_with_milliwatts(build: Any) -> None:
    core = build(ADAPTERS["omicron"])
    laser = MicroManagerLaser(
        core, "a", settings(power_property="Laser Power Set-point Select [%]")
    )

    assert laser.unit == "%"
    assert laser.limits() == (0.0, 100.0)
    assert laser.readback() is None


FACTS = DeviceFacts(
    "L", "Lab", "Homemade", {"P": (), "Gate": ("closed", "open"), "Key": (), "mW now": ()}
)


def test_a_laser_without_preset_is_stated_in_full() -> None:
    found = resolve(
        FACTS,
        LaserSettings(
            device="L", power_property="P", power_unit="mW", on_property="Gate", on_value="OPEN",
            off_value="closed", readback_property="mW now", interlock_property="Key",
            ok_values=("in",),
        ),
    )  # fmt: skip

    assert (found.preset, found.power, found.unit) == ("none", "P", "mW")
    assert (found.on, found.on_value, found.off_value) == ("Gate", "open", "closed")
    assert found.readback == "mW now"
    assert found.faults[0].ok_values == ("in",)


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, r"no preset fits Homemade of Lab; state power_property .* of P, Gate, Key"),
        ({"preset": "obbis"}, r"no preset 'obbis'; there are auto, none, obis"),
        ({"preset": "obis"}, r"obis expects PowerSetpoint, but the device has P, Gate"),
        ({"power_property": "Q"}, r"L has no property 'Q' \(power_property\); it has P, Gate"),
        ({"power_property": "P"}, "state power_unit"),
        ({"on_property": "Gate"}, "state on_value and off_value of Gate"),
        ({"on_property": "Lid", "on_value": "1", "off_value": "0"}, r"'Lid' \(on_property\)"),
        ({"on_property": "Gate", "on_value": "ajar", "off_value": "closed"},
         "Gate takes closed, open, not ajar"),
        ({"readback_property": "W"}, r"'W' \(readback_property\)"),
        ({"interlock_property": "Key"}, "state ok_values of Key"),
        ({"pulse_property": "T"}, r"'T' \(pulse_property\)"),
        ({"pulse_property": "Key", "power_unit": "us"}, "pulse length itself"),
    ],
)  # fmt: skip
def test_wrong_settings_say_what_there_is(stated: dict[str, Any], message: str) -> None:
    own = {"device": "L"} | stated
    if stated and not {"preset", "power_property"} & set(stated):
        own |= {"power_property": "P", "power_unit": stated.get("power_unit", "mW")}

    with pytest.raises(ConfigError, match=message):
        resolve(FACTS, LaserSettings.model_validate(own))


def test_values_of_properties_are_compared_as_meant() -> None:
    assert same_value("1", "1.0000")
    assert same_value(0, "0")
    assert same_value(" Ok", "OK")
    assert not same_value("On", "1")
    assert not same_value("0", "")
