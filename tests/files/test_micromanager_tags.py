"""One camera, as each generation of Micro-Manager writes it, and metadata that contradict."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.files.camera_maps import resolve_calibration
from rtsmlm.files.movies.metadata import (
    Statements,
    add_micromanager,
    add_micromanager_summary,
    add_ome_xml,
    add_pymmcore,
)
from rtsmlm.files.movies.micromanager_tags import binning_of, flat_tags
from rtsmlm.settings.camera import CameraSettings

PROPERTIES = {
    "EMSwitch": "On",
    "Gain": "200",
    "Binning": "2",
    "CONVERSION FACTOR COEFF": "0.46",
    "CONVERSION FACTOR OFFSET": "100",
}
GENERAL = {"Camera": "Andor", "PixelSizeUm": 0.2, "Exposure-ms": 30.0}
DEVICE = {"label": "Andor", "properties": [{"name": n, "value": v} for n, v in PROPERTIES.items()]}
AS_OBJECTS = {
    f"Andor-{name}": {"PropName": f"Andor-{name}", "PropVal": value, "PropType": "String"}
    for name, value in PROPERTIES.items()
}
GENERATIONS: dict[str, dict[str, Any]] = {
    "1.4 and 2.0": GENERAL | {f"Andor-{n}": v for n, v in PROPERTIES.items()},
    "2.0 beta": GENERAL | AS_OBJECTS,
    "2.0 gamma": GENERAL | {"ScopeData": AS_OBJECTS},
    "property map": {
        "encoding": "UTF-8",
        "map": {name: {"type": "STRING", "scalar": value} for name, value in GENERAL.items()}
        | {
            "ScopeData": {
                "type": "PROPERTY_MAP",
                "scalar": {},
                "map": {f"Andor-{n}": {"scalar": v} for n, v in PROPERTIES.items()},
            }
        },
    },
    "AcqEngJ in NDTiff": {"Core-Camera": "Andor", "PixelSize_um": "0.2", "Exposure": 30}
    | {f"Andor-{n}": v for n, v in PROPERTIES.items()},
    "pymmcore-plus frame": {
        "format": "frame-dict", "camera_device": "Andor", "pixel_size_um": 0.2, "exposure_ms": 30.0,
        "property_values": [{"dev": "Andor", "prop": n, "val": v} for n, v in PROPERTIES.items()],
    },
    "pymmcore-plus summary": {
        "format": "summary-dict", "devices": [DEVICE, {"label": "Core", "properties": []}],
        "image_infos": [{"camera_label": "Andor", "pixel_size_um": 0.2}], "exposure_ms": 30.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("generation", GENERATIONS)
def test_gain_offset_exposure_binning_and_pixel_are_read_from_every_generation(
    generation: str,
) -> None:
    found = Statements()

    add_micromanager(found, GENERATIONS[generation])

    assert found.stated == StatedCalibration(
        pixel_nm=200.0, offset_adu=100.0, e_per_adu=0.46, em_gain=200.0
    )
    assert found.exposure_ms == 30.0
    assert (found.details["camera"], found.binning) == ("Andor", 2)
    assert found.contradictions == []


def test_the_summary_of_pymmcore_plus_is_read_from_ome_xml_and_from_ome_zarr() -> None:
    summary = GENERATIONS["pymmcore-plus summary"]
    xml, zarr = Statements(), Statements()

    text = html.escape(json.dumps(summary), quote=False)
    add_ome_xml(xml, f'<OME><M K="summary_metadata_json">{text}</M></OME>')
    add_pymmcore(zarr, {"pymmcore_plus": {"summary_metadata": summary}})

    assert xml.stated == zarr.stated
    assert xml.stated.em_gain == 200


@pytest.mark.parametrize("damaged", ['{"devices": [', "[]", "null", '{"devices": 3}', "{}"])
def test_a_damaged_summary_states_nothing(damaged: str) -> None:
    found = Statements()

    add_ome_xml(found, f'<OME><M K="summary_metadata_json">{damaged}</M></OME>')

    assert found.stated == StatedCalibration()


@pytest.mark.parametrize(
    ("properties", "em_gain"),
    [
        ({"EMSwitch": "On", "Output_Amplifier": "Conventional", "Gain": "300"}, 1),
        ({"Output_Amplifier": "Electron Multiplying", "Gain": "300"}, 300),
        ({"Port": "Electron Multiplied", "MultiplierGain": "90"}, 90),
        ({"EMGain": "40"}, 40),
    ],
)
def test_the_gain_counts_at_the_amplifier_that_multiplies(
    properties: dict[str, str], em_gain: float
) -> None:
    found = Statements()

    add_micromanager(found, {"Camera": "C"} | {f"C-{n}": v for n, v in properties.items()})

    assert found.stated.em_gain == em_gain


def test_groups_within_groups_end() -> None:
    nested: dict[str, Any] = {"Camera": "C"}
    for _ in range(50):
        nested = {"map": nested}

    assert flat_tags(nested).get("Camera") in (None, "C")


@pytest.mark.parametrize(
    ("text", "binning"),
    [("1", (1, 1)), ("2x2", (2, 2)), (4, (4, 4)), ("1x2", (1, 2)), ("", None), ("0", None)],
)
def test_binning_is_a_number_or_two(text: object, binning: tuple[int, int] | None) -> None:
    assert binning_of(text) == binning


@pytest.mark.parametrize(
    ("tags", "sides_nm"),
    [
        ({"Binning": "1x2", "PixelSizeUm": 0.1}, (100, 200)),
        ({"Binning": "4x2", "PixelSizeUm": 0.2}, (400, 200)),
        ({"PixelAspect": 2, "PixelSizeUm": 0.1}, (100, 200)),
        ({"PixelSizeAffine": "0.1;0.0;0.0;0.0;0.25;0.0", "PixelSizeUm": 0.1}, (100, 250)),
        ({"PixelSizeAffine": "0.1;0.0;0.0;0.0;-0.103;0.0", "PixelSizeUm": 0.1}, (100, None)),
        ({"PixelSizeAffine": "0;-0.1;0;0.1;0;0", "PixelSizeUm": 0.1}, (100, None)),
        ({"PixelSizeAffine": "Undefined", "PixelSizeUm": 0.1}, (100, None)),
    ],
)
def test_both_sides_of_a_pixel_are_read(tags: dict[str, Any], sides_nm: tuple[int, Any]) -> None:
    found = Statements()

    add_micromanager(found, tags)

    assert found.stated.pixel_nm == sides_nm[0]
    assert found.stated.pixel_height_nm == pytest.approx(sides_nm[1])


def test_pixels_that_are_not_square_are_refused_with_both_sides_unless_the_size_is_set() -> None:
    found = Statements()
    add_ome_xml(found, '<Pixels PhysicalSizeX="0.1" PhysicalSizeY="200" PhysicalSizeYUnit="nm"/>')

    with pytest.raises(CalibrationError, match="100 nm wide and 200 nm high"):
        resolve_calibration(CameraSettings(), found.stated)
    assert resolve_calibration(CameraSettings(pixel_nm=100), found.stated).pixel_nm == 100


@pytest.mark.parametrize("height", ["0.1004", "nonsense", "0", None])
def test_sides_that_differ_by_rounding_or_are_not_stated_are_square(height: str | None) -> None:
    found = Statements()

    found.state_pixel("0.1", "um", "a test", height=height)

    assert found.stated.pixel_height_nm is None


def test_a_summary_that_states_another_pixel_than_the_frames_is_named() -> None:
    found = Statements()

    add_micromanager(found, {"PixelSizeUm": 0.16})
    add_micromanager_summary(found, {"PixelSize_um": 0.1})

    assert found.stated.pixel_nm == 160
    [contradiction] = found.contradictions
    assert contradiction.name == "pixel_nm"
    assert "160 nm" in contradiction.sentence
    assert "100 nm" in contradiction.sentence


def test_pixels_of_the_chip_and_of_binned_frames_do_not_contradict() -> None:
    found = Statements()

    add_micromanager(found, {"Camera": "C", "C-Binning": "2x2", "PixelSizeUm": 0.2})
    add_micromanager_summary(found, {"PixelSize_um": 0.1})

    assert found.stated.pixel_nm == 200
    assert found.contradictions == []
