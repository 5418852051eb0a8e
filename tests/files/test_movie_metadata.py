"""What metadata state, in the words of the programs that wrote them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.files.movies.flat import likely_byte_order
from rtsmlm.files.movies.metadata import (
    Statements,
    add_micromanager,
    add_ome_xml,
    add_picasso,
    flat_yaml,
)


def from_tags(**tags: Any) -> Statements:
    told = Statements()
    add_micromanager(told, {"Camera": "Cam"} | tags)
    return told


@pytest.mark.parametrize(
    ("tags", "em_gain"),
    [
        ({"Cam-EMSwitch": "On", "Cam-Gain": "300"}, 300),
        ({"Cam-EMSwitch": "Off", "Cam-Gain": "300"}, 1),
        ({"Cam-Gain": "3"}, None),
        ({"Cam-Port": "EM", "Cam-MultiplierGain": "200"}, 200),
        ({"Cam-Port": "Multiplication Gain", "Cam-MultiplierGain": 90}, 90),
        ({"Cam-Port": "Normal", "Cam-MultiplierGain": 90}, None),
        ({"Cam-EMSwitch": "On", "Cam-Gain": "0"}, None),
        ({"Other-EMSwitch": "On", "Other-Gain": "300"}, None),
    ],
)
def test_only_a_gain_that_surely_multiplies_electrons_is_taken(
    tags: dict[str, Any], em_gain: float | None
) -> None:
    assert from_tags(**tags).stated.em_gain == em_gain


@pytest.mark.parametrize("value", [0.0, -0.1, "nan", "inf", "1e999", None, True, [0.1], {}, "six"])
def test_a_pixel_size_that_is_no_number_above_zero_is_not_stated(value: Any) -> None:
    told = from_tags(PixelSizeUm=value, **{"Exposure-ms": value})

    assert told.stated.pixel_nm is None
    assert told.exposure_ms is None


def test_the_first_statement_holds() -> None:
    told = from_tags(PixelSizeUm=0.1)

    told.state_pixel(0.2, "um", "another")

    assert told.stated.pixel_nm == 100


@pytest.mark.parametrize(
    ("value", "unit", "pixel_nm"),
    [
        (0.1, "µm", 100),
        (0.1, "micron", 100),
        ("0.0001", "mm", 100),
        (1e-5, "cm", 100),
        (160, "nm", 160),
        (160, "px", None),
        (160, "", None),
        (1000.1, "nm", None),
        (9.9, "nm", None),
    ],
)
def test_pixel_sizes_are_told_in_any_unit_of_length(
    value: Any, unit: str, pixel_nm: float | None
) -> None:
    told = Statements()

    told.state_pixel(value, unit, "a test")

    assert told.stated.pixel_nm == pixel_nm


@pytest.mark.parametrize(
    ("plane", "exposure_ms"),
    [
        ('<Plane TheT="0" ExposureTime="0.05"/>', 50),
        ('<Plane ExposureTime="30" ExposureTimeUnit="ms" TheT="0"/>', 30),
        ('<OME:Plane ExposureTime="0.01"/>', 10),
        ('<Plane TheT="0"/>', None),
        ('<Plane ExposureTime="3" ExposureTimeUnit="fortnight"/>', None),
    ],
)
def test_ome_xml_states_the_exposure_in_seconds_unless_it_says_otherwise(
    plane: str, exposure_ms: float | None
) -> None:
    told = Statements()

    add_ome_xml(told, f'<OME><Pixels PhysicalSizeX="0.1" SizeX="3">{plane}</Pixels></OME>')

    assert told.exposure_ms == exposure_ms
    assert told.stated.pixel_nm == 100


def test_an_offset_of_zero_is_a_statement() -> None:
    told = Statements()

    add_picasso(told, {"Baseline": "0", "Sensitivity": "0", "Gain": "0.5"})

    assert told.stated.offset_adu == 0
    assert told.stated.e_per_adu is None
    assert told.stated.em_gain is None


def test_later_documents_and_nested_keys_of_a_sidecar_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "movie.yaml"
    path.write_text(
        "---\nHeight: 32\nByte Order: '>'\nMicro-Manager Metadata:\n  Height: 64\n"
        "Widths:\n- 1\n---\nHeight: 128\nWidth: 5\n"
    )

    keys = flat_yaml(path)

    assert keys == {"Height": "32", "Byte Order": ">"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_byte_order_is_seen_at_any_light_level_that_shows_noise(
    rng: np.random.Generator, tmp_path: Path, order: str
) -> None:
    for mean in (20, 200, 2000, 20_000):
        path = tmp_path / f"{mean}.raw"
        path.write_bytes(rng.poisson(mean, (4, 64, 64)).astype(f"{order}u2").tobytes())

        assert likely_byte_order(path, 64, default="?") == order


def test_a_dark_movie_leaves_the_byte_order_to_the_convention(tmp_path: Path) -> None:
    path = tmp_path / "dark.raw"
    path.write_bytes(bytes(8192))

    assert likely_byte_order(path, 64, default=">") == ">"
