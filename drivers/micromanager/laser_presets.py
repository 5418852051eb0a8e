"""What the laser devices of Micro-Manager call power, emission, read-back and interlock.

Names and values are those of the adapters' sources (github.com/micro-manager/mmCoreAndDevices).
They change between releases: of the several names in a preset, the first that a device has counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

LINE = "{line}"
"""Stands for the number of a laser in names of properties."""


@dataclass(frozen=True, slots=True)
class FaultProperty:
    """A property that reports a fault or an open interlock."""

    names: tuple[str, ...]
    """Names it goes by."""
    ok_values: tuple[str, ...]
    """Values with which all is well, in any case of letters."""
    of_hub: bool = False
    """True if it is a property of the hub that the laser hangs on."""


@dataclass(frozen=True, slots=True)
class LaserPreset:
    """What the properties of one kind of laser mean."""

    name: str
    """What `lasers.NAME.preset` calls it."""
    library: str
    """Adapter, as `getDeviceLibrary` returns it; for a Python device its module."""
    power: tuple[str, ...]
    """Names of the property that sets the power."""
    unit: str
    """Unit of the power: mW, %, V, or us of pulse length."""
    devices: tuple[str, ...] = ("*",)
    """Names of the devices of this adapter that are lasers; for a Python device its class."""
    on: tuple[str, ...] = ()
    """Names of the property that switches emission; without one, power 0 is dark."""
    on_values: tuple[str, ...] = ()
    """Its value for emission; the first that the device allows."""
    off_values: tuple[str, ...] = ()
    """Its value without."""
    readback: tuple[str, ...] = ()
    """Names of the property with the measured power; an echo of the set-point is none."""
    faults: tuple[FaultProperty, ...] = ()
    """Properties that report faults."""
    least: tuple[str, ...] = ()
    """Names of the property with the least power, where the power property has no limits."""
    most: tuple[str, ...] = ()
    """Names of the property with the most."""
    limits_factor: float = 1.0
    """What values of `least` and `most` are multiplied with to be in the unit of the power."""
    turns_off: bool | None = None
    """Whether unloading the device switches emission off; None if not known."""
    simulated: bool = False
    """True for a simulated head; only its interlock may be opened by software, for a drill."""
    outlives_process: bool = True
    """False for a device that is gone, light and all, with the process that has loaded it."""
    note: str = ""
    """What a user has to know."""

    def fits(self, library: str, device: str) -> bool:
        """Return True if this is the preset of this device of this adapter."""
        return library == self.library and any(fnmatchcase(device, d) for d in self.devices)


PRESETS: tuple[LaserPreset, ...] = (
    LaserPreset(
        "obis",
        "CoherentOBIS",
        ("PowerSetpoint",),
        "mW",
        on=("State",),
        on_values=("1",),
        off_values=("0",),
        least=("Minimum Laser Power",),
        most=("Maximum Laser Power",),
        # The adapter hands these two on as the head states them, in W.
        limits_factor=1000.0,
        turns_off=False,
        note="PowerReadback is the set-point once more; a power it does not like is ignored.",
    ),
    LaserPreset(
        "cube",
        "CoherentCube",
        ("PowerSetpoint",),
        "mW",
        on=("State",),
        on_values=("1",),
        off_values=("0",),
        least=("Minimum Laser Power",),
        most=("Maximum Laser Power",),
    ),
    LaserPreset(
        "sapphire",
        "Sapphire",
        ("PowerSetpoint",),
        "mW",
        on=("State",),
        on_values=("1",),
        off_values=("0",),
        least=("Minimum Laser Power",),
        most=("Maximum Laser Power",),
    ),
    LaserPreset(
        "ibeam-smart",
        "Toptica_iBeamSmart",
        ("Power (mW)", "Ch1 power (mW)"),
        "mW",
        on=("Laser Operation",),
        on_values=("On",),
        off_values=("Off",),
        faults=(FaultProperty(("Clipping status",), ("PASS", "GOOD")),),
        most=("Maximum power (mW)",),
        turns_off=True,
    ),
    LaserPreset(
        "omicron",
        "Omicron",
        ("Laser Power Set-point Select [mW]", "Laser Power Set-point Select [%]"),
        "mW",
        on=("Laser Operation Select",),
        on_values=("On",),
        off_values=("Off",),
        readback=("Laser Power Status [mW]",),
        faults=(FaultProperty(("Error",), ("No Error",)),),
        most=("Specified Power [mW]",),
        turns_off=True,
    ),
    LaserPreset(
        "cobolt",
        "Cobolt",
        ("Power",),
        "mW",
        on=("Laser",),
        on_values=("On",),
        off_values=("Off",),
        # Older releases have PowerStatus: the set-point once more, in W.
        readback=("Power Status",),
        faults=(
            FaultProperty(("Interlock",), ("Closed", "Ok")),
            FaultProperty(("Fault",), ("No Fault", "No Error", "0")),
        ),
        most=("Power Maximum",),
        turns_off=False,
    ),
    LaserPreset(
        "cobolt-official",
        "CoboltOfficial",
        (
            "Power Setpoint [mW]",
            "Const. Power Setpoint [mW]",
            "Const. Power Setpoint",
            "Power Mod. Power Setpoint",
        ),
        "mW",
        on=("Emission Status",),
        on_values=("open", "on"),
        off_values=("closed", "off"),
        readback=("Power Reading [mW]", "Power Reading"),
        faults=(FaultProperty(("Laser Fault",), ("No Fault", "No Faults", "OK", "0")),),
        turns_off=False,
        note="Emission Status opens only when the laser has started (key switch, warm-up).",
    ),
    LaserPreset(
        "oxxius",
        "Oxxius",
        ("Power set point (%)",),
        "%",
        on=("Emission",),
        on_values=("On",),
        off_values=("Off",),
        faults=(
            FaultProperty(("OnInterlock",), ("Closed",)),
            FaultProperty(("Alarm",), ("No alarm",)),
        ),
        turns_off=True,
        note="It measures mW and is set in %, so the two are not compared.",
    ),
    LaserPreset(
        "oxxius-combiner",
        "OxxiusCombiner",
        ("Power set point",),
        "%",
        devices=("*LaserBoxx*", "*LBX*", "*LCX*", "*OBIS*", "*Laser*"),
        on=("Emission",),
        on_values=("ON", "On"),
        off_values=("OFF", "Off"),
        faults=(
            FaultProperty(("Interlock circuit",), ("Closed",), of_hub=True),
            FaultProperty(("EmissionKey",), ("Armed",), of_hub=True),
        ),
        turns_off=False,
    ),
    LaserPreset(
        "vortran",
        "Vortran",
        ("PowerSetting",),
        "mW",
        on=("LaserEmission",),
        on_values=("ON", "On"),
        off_values=("OFF", "Off"),
        readback=("Power",),
        faults=(FaultProperty(("Interlock",), ("OK",)), FaultProperty(("FaultCode",), ("0",))),
        turns_off=True,
        note="A command takes 0.5 s, and the device states no limits: set max_power.",
    ),
    LaserPreset(
        "mpb",
        "MPBLaser",
        ("Power Setpoint",),
        "mW",
        on=("Switch On/Off",),
        on_values=("On",),
        off_values=("Off",),
        note="If Key Lock Status is to be watched, state interlock_property and ok_values.",
    ),
    LaserPreset(
        "andor-alc",
        "AndorLaserCombiner",
        (f"PowerSetpoint{LINE}", "PowerSetpoint"),
        "V",
        devices=("*Combiner*",),
        on=(f"Enable{LINE}", "Enable"),
        on_values=("On",),
        off_values=("Off",),
        turns_off=False,
        note="Its safety shutter is the device itself: state it as shutter of one laser. "
        "PowerReadback is the head, before the AOTF that the set-point drives.",
    ),
    LaserPreset(
        "laser-quantum",
        "LaserQuantumLaser",
        ("Power (mW)",),
        "mW",
        on=("Laser Operation",),
        on_values=("On",),
        off_values=("Off",),
        most=("Maximum power (mW)",),
        turns_off=True,
    ),
    LaserPreset(
        "laser-engine",
        "IntegratedLaserEngine",
        (f"Laser {LINE}-Power Setpoint", f"Laser {LINE}-Power"),
        "%",
        on=(f"Laser {LINE}-Power Enable", f"Laser {LINE}-Enable"),
        on_values=("On",),
        off_values=("Off",),
        faults=(FaultProperty(("Interlock Flag Status",), ("Inactive",)),),
        note="The engine is a shutter itself: state it as shutter of one laser.",
    ),
    LaserPreset(
        "microfpga",
        "MicroFPGA",
        (f"Duration{LINE} (us)", f"Duration{LINE}"),
        "us",
        devices=("Laser Trigger",),
        on=(f"Mode{LINE}",),
        # Rising: a pulse of this length begins with the exposure, so an idle camera is dark.
        on_values=("2 - Rising", "2"),
        off_values=("0 - Off", "0"),
        turns_off=False,
        note="Sets the pulse length per frame; the laser behind it has to be on.",
    ),
    LaserPreset("nidaq", "NIDAQ", ("Voltage",), "V", devices=("NIDAQAO-*",)),
    LaserPreset("triggerscope", "TriggerScopeMM", ("Volts",), "V", devices=("*DAC*",)),
    LaserPreset(
        "demo-da",
        "DemoCamera",
        ("Voltage", "Volts"),
        "V",
        devices=("D-DA", "D-DA2"),
        turns_off=False,
        outlives_process=False,
        note="No laser: a stand-in, to try the loop without one.",
    ),
    LaserPreset(
        "sim-laser",
        "rtsmlm.drivers.simulated.laser",
        ("PowerSetpoint",),
        "mW",
        devices=("SimLaser*",),
        on=("State",),
        on_values=("1",),
        off_values=("0",),
        readback=("PowerMeasured_mW",),
        faults=(FaultProperty(("Interlock",), ("OK",)),),
        turns_off=False,
        simulated=True,
        outlives_process=False,
    ),
    LaserPreset(
        "file-laser",
        "rtsmlm.drivers.simulated.file_laser",
        ("PowerSetpoint",),
        "mW",
        devices=("FileLaser",),
        on=("State",),
        on_values=("1",),
        off_values=("0",),
        turns_off=False,
        simulated=True,
    ),
)


def preset_of(library: str, device: str) -> LaserPreset | None:
    """Return the preset of a device of an adapter; None if it is no laser that we know."""
    return next((preset for preset in PRESETS if preset.fits(library, device)), None)


def preset_named(name: str) -> LaserPreset | None:
    """Return the preset of this name; None if there is none."""
    return next((preset for preset in PRESETS if preset.name == name), None)
