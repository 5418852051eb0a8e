"""Cameras found by entry point; the adapter of the docstring works as it stands there."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from threading import Event
from types import ModuleType, SimpleNamespace
from typing import Any, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel

import rtsmlm.drivers
from rtsmlm import plugins
from rtsmlm.errors import CameraStalledError, ConfigError, DeviceError
from rtsmlm.settings.load import load, packaged
from rtsmlm.settings.run import RunSettings

_PROTOCOLS = {
    "rtsmlm.camera": plugins.CameraFactory,
    "rtsmlm.laser": plugins.LaserFactory,
    "rtsmlm.stage": plugins.StageFactory,
    "rtsmlm.localizer": plugins.LocalizerFactory,
}


def install(monkeypatch: pytest.MonkeyPatch, **values: str | tuple[str, ...]) -> None:
    offers = [
        EntryPoint(name, value, "rtsmlm.camera")
        for name, several in values.items()
        for value in ([several] if isinstance(several, str) else several)
    ]
    monkeypatch.setattr(
        plugins, "entry_points", lambda **wanted: EntryPoints(offers).select(**wanted)
    )


@pytest.mark.parametrize(
    ("find", "group", "name"),
    [
        (plugins.find_camera, "rtsmlm.camera", "micromanager"),
        (plugins.find_camera, "rtsmlm.camera", "replay"),
        (plugins.find_laser, "rtsmlm.laser", "micromanager"),
        (plugins.find_stage, "rtsmlm.stage", "micromanager"),
        (plugins.find_localizer, "rtsmlm.localizer", "gaussian-mle"),
        (plugins.find_localizer, "rtsmlm.localizer", "astigmatic-mle"),
    ],
)
def test_what_ships_is_installed_and_called_with_the_arguments_of_its_protocol(
    find: Callable[[str], Callable[..., object]], group: str, name: str
) -> None:
    factory = find(name)
    expected = inspect.signature(_PROTOCOLS[group].__call__).parameters

    taken = [
        parameter
        for parameter in inspect.signature(factory).parameters.values()
        if parameter.default is inspect.Parameter.empty
    ]

    assert name in plugins.names(group)
    assert [p.name for p in taken] == [key for key in expected if key != "self"]


def test_an_unknown_name_lists_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, replay="a:b", micromanager="c:d")

    with pytest.raises(
        ConfigError, match=r"^no camera named 'hamamatsu'; installed: micromanager, replay$"
    ):
        plugins.find_camera("hamamatsu")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_lab.camera:open_camera", "cannot be imported: No module named 'no_such_lab'"),
        ("rtsmlm.drivers:nothing", "cannot be imported: .*'nothing'"),
        ("rtsmlm.drivers:__doc__", "is not a function that opens one"),
    ],
)
def test_a_plug_in_that_does_not_load_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    install(monkeypatch, mine=value)

    with pytest.raises(ConfigError, match=rf"camera 'mine' \({value}\) {message}"):
        plugins.find_camera("mine")


def test_two_offers_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, mine=("lab_a:open_camera", "lab_b:open_camera"))

    with pytest.raises(ConfigError, match="lab_a:open_camera and lab_b:open_camera"):
        plugins.find_camera("mine")


def test_the_same_offer_seen_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, mine=("json:loads", "json:loads"))

    assert plugins.find("rtsmlm.camera", "mine")("[1]") == [1]


class ImaginedSdk:
    """A camera that delivers six frames, the fourth of which is lost."""

    serial, firmware, rows, columns, exposure_ms = "7", "1.2", 4, 5, 10.0

    def __init__(self) -> None:
        self.numbers = [11, 12, 13, 15, 16]
        self.running = self.closed = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        self.closed = True

    def next_image(self, timeout_s: float) -> SimpleNamespace | None:
        if not self.numbers:
            return None
        number = self.numbers.pop(0)
        return SimpleNamespace(number=number, pixels=np.full((4, 5), number, dtype=np.uint16))


def example(sdk: Any) -> dict[str, Any]:
    """Run the first code block of the docstring of `rtsmlm.drivers`."""
    text = (rtsmlm.drivers.__doc__ or "").split("::\n", maxsplit=1)[1]
    code = textwrap.dedent(text.split("\nThen name the factory")[0])
    module = ModuleType("example")
    vars(module)["my_sdk"] = sdk
    exec(code, vars(module))  # noqa: S102 - our own docstring
    return vars(module)


def test_the_adapter_of_the_docstring_is_a_camera() -> None:
    handle = ImaginedSdk()
    sdk = SimpleNamespace(open=lambda exposure_ms: handle)
    camera = example(sdk)["open_camera"](RunSettings())
    stream = camera.stream(Event(), 5)

    index = [next(stream).index for _ in range(2)]
    running = [handle.running]
    index += [frame.index for frame in stream]
    running.append(handle.running)

    assert index == [0, 1, 2, 4, 5]
    assert camera.shape == (4, 5)
    assert running == [True, False]
    camera.close()
    assert handle.closed


def test_the_adapter_of_the_docstring_reports_silence_and_refusal() -> None:
    handle = ImaginedSdk()
    camera = example(SimpleNamespace(open=lambda exposure_ms: handle))["open_camera"]
    stream = camera(RunSettings()).stream(Event())
    assert [next(stream).index for _ in range(5)][-1] == 5
    with pytest.raises(CameraStalledError, match="gave no frame"):
        next(stream)
    assert not handle.running

    def refuse(exposure_ms: float | None) -> None:
        raise OSError("no power")

    with pytest.raises(DeviceError, match="no power"):
        example(SimpleNamespace(open=refuse))["open_camera"](RunSettings())


def sections(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Return every key of the settings, with its sections."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        inner = field.annotation
        of_each = [a for a in get_args(inner) if isinstance(a, type) and issubclass(a, BaseModel)]
        if get_origin(inner) is dict and of_each:
            keys += sections(of_each[0], f"{prefix}{name}.*.")
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            keys += sections(inner, f"{prefix}{name}.")
        elif not field.exclude:
            keys.append(f"{prefix}{name}")
    return keys


def keys_in(text: str) -> set[str]:
    """Return the keys that a TOML text sets or shows commented out."""
    found, section = set(), ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("[") and bare.endswith("]"):
            section = re.sub(r"^(lasers|stages)\.\w+", r"\1.*", bare.strip("[]"))
            found.add(section)
        elif "=" in bare:
            found.add(f"{section}.{bare.lstrip('# ').split('=')[0].strip()}")
    return found


def test_the_example_rig_shows_every_key_there_is_and_is_valid() -> None:
    path = packaged("example_rig.toml")

    shown = keys_in(path.read_text(encoding="utf-8"))
    settings = load(path)

    assert [key for key in sections(RunSettings) if key not in shown] == []
    assert settings.camera.e_per_adu == 0.46
    assert next(iter(settings.micromanager.properties)) == "Camera.PixelType"


def test_what_the_example_rig_shows_commented_out_is_valid_too(tmp_path: Path) -> None:
    lines = packaged("example_rig.toml").read_text(encoding="utf-8").splitlines()
    known = {key.rpartition(".")[2] for key in sections(RunSettings)}
    shown = [
        line[2:] if line.startswith("# ") and line[2:].split(" =")[0] in known else line
        for line in lines
    ]
    path = tmp_path / "all.toml"
    path.write_text("\n".join(shown), encoding="utf-8")

    settings = load(path)

    assert settings.results.name == "cell-3"
    assert settings.replay.movie == Path("recording.tif")
    assert settings.movie.dtype == "<u2"


@pytest.mark.parametrize("name", ["demo.toml", "mm_demo.toml"])
def test_the_demonstrations_are_valid(name: str) -> None:
    settings = load(Path(name))

    assert settings.acquisition.frames == 3000
    assert settings.camera.driver == "micromanager"
