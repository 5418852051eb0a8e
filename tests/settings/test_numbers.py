"""Every number of every section is finite, wherever it comes from."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.settings.base import LONGEST_S
from rtsmlm.settings.feedback import MOST_PER_UM2, FeedbackSettings, checked_target
from rtsmlm.settings.load import load
from rtsmlm.settings.run import RunSettings

NOT_FINITE = ("nan", "-nan", "inf", "-inf", "1e999", "-1e999")


def parts_of(annotation: Any) -> Iterator[Any]:
    """Yield a type and all that it is made of, as `float` of `tuple[Point, ...] | None`."""
    yield annotation
    for part in typing.get_args(annotation):
        if isinstance(part, type | types.UnionType) or typing.get_args(part):
            yield from parts_of(part)


def models(model: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield all models within a model, with the way to each."""
    yield name, model
    for key, field in model.model_fields.items():
        for part in parts_of(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part, f"{name}.{key}".lstrip("."))


def number_fields() -> list[tuple[str, type[BaseModel], str]]:
    return [
        (f"{name}.{key}", model, key)
        for name, model in models(RunSettings)
        for key, field in model.model_fields.items()
        if float in parts_of(field.annotation)
    ]


FIELDS = number_fields()


def test_the_walk_finds_the_numbers_of_all_sections() -> None:
    names = {name for name, _, _ in FIELDS}

    assert len(names) > 60
    assert {"camera.offset_adu", "lasers.max_power", "feedback.stop.dose", "hil.p99_ms"} <= names
    assert {"feedback.target_per_um2", "lasers.schedule", "psf.astigmatism.x.cubic"} <= names


@pytest.mark.parametrize(("name", "model", "key"), FIELDS, ids=[name for name, _, _ in FIELDS])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_of_any_section_is_nan_or_infinite(
    name: str, model: type[BaseModel], key: str, value: float
) -> None:
    forms = [value, str(value), ((0.0, value),), ((value, 1.0),), {"one": value}]

    for form in forms:
        try:
            made = model.__pydantic_validator__.validate_assignment(
                model.model_construct(), key, form
            )
        except ValidationError as error:
            # Other fields may be missing; what counts is that this one is refused.
            if any(found["loc"][0] == key for found in error.errors()):
                continue
            raise
        kept = getattr(made, key)
        # A property of a device may be the text "nan", but not the number.
        assert "nan" not in repr(kept).replace("'nan'", "")
        assert "inf" not in repr(kept).replace("'inf'", "").replace("'-inf'", "")


@pytest.mark.parametrize("text", NOT_FINITE)
@pytest.mark.parametrize(
    "key",
    ["camera.offset_adu", "camera.read_noise_e", "camera.pixel_nm", "acquisition.exposure_ms",
     "acquisition.seconds", "feedback.target_per_um2", "localizer.threshold", "psf.sigma_nm",
     "results.image_pixel_nm", "pipeline.ring_mb"],
)  # fmt: skip
def test_an_override_that_is_not_finite_is_refused_by_its_name(key: str, text: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load(None, [f"{key}={text}"])


@pytest.mark.parametrize("points", ["[[0, nan]]", "[[nan, 1]]", "[[0, 1e9]]", "[[0, 0]]", "[]"])
def test_a_target_over_time_has_densities_that_a_loop_can_hold(points: str) -> None:
    with pytest.raises(ConfigError, match="feedback"):
        load(None, [f"feedback.target_per_um2={points}"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, MOST_PER_UM2, 1e9])
def test_a_density_that_no_loop_can_hold_is_named_with_its_limits(value: float) -> None:
    with pytest.raises(ConfigError, match=r"cannot be held.* from 0 to below 100"):
        checked_target(value)


def test_a_target_of_0_keeps_the_laser_dark_and_may_be_set_during_a_run() -> None:
    assert checked_target(0.0) == 0
    with pytest.raises(ValidationError, match=r"target_per_um2 is 0"):
        FeedbackSettings(target_per_um2=0.0)


@pytest.mark.parametrize("seconds", ["1e300", str(LONGEST_S * 1.01)])
@pytest.mark.parametrize(
    "key", ["acquisition.seconds", "acquisition.stall_timeout_s", "pipeline.heartbeat_timeout_s"]
)
def test_no_wait_is_longer_than_the_clocks_of_threads_count(key: str, seconds: str) -> None:
    with pytest.raises(ConfigError, match=key):
        load(None, [f"{key}={seconds}"])


def test_what_was_given_on_the_command_line_is_not_blamed_on_a_file() -> None:
    with pytest.raises(ConfigError, match=r"in demo.toml|acquisition.seconds=0"):
        load(Path("demo.toml"), ["acquisition.seconds=0"])
    with pytest.raises(ConfigError, match=r"acquisition\.seconds=0: acquisition\.seconds"):
        load(Path("demo.toml"), ["acquisition.seconds=0"])


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 20_000, "a = " + "9" * 10_000, "a = '" + "x" * (5 << 20) + "'", "a = \ud800"],
    ids=["nested", "digits", "huge", "no text"],
)
def test_a_configuration_that_cannot_be_read_is_one_short_sentence(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    with pytest.raises(ConfigError, match=r"rig\.toml") as error:
        load(path)

    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


@pytest.mark.parametrize("value", ["[" * 20_000, "9" * 10_000])
def test_an_override_nested_or_long_beyond_reason_is_text_and_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"camera\.pixel_nm") as error:
        load(None, [f"camera.pixel_nm={value}"])

    assert len(str(error.value)) <= 2000


def test_every_annotation_of_settings_is_understood_by_the_walk() -> None:
    for _, model, key in FIELDS:
        TypeAdapter(model.model_fields[key].annotation)
