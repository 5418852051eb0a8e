"""Events of the analysis: what is written comes back equal, and anything else is an error."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsmlm.errors import PipelineError
from rtsmlm.feedback.records import DensityEstimate
from rtsmlm.pipeline import events, start_events
from rtsmlm.pipeline.events import (
    DensityMeasured,
    Died,
    Event,
    FramesFailed,
    ImageEvent,
    LayerGrown,
    LayersLeft,
    LayersOpened,
    Localizing,
    Progress,
    PsfMeasured,
    PublishStatus,
    Ready,
    StreamOpened,
    Warned,
    from_line,
    image_event_from_line,
    status_from_line,
    to_line,
)
from rtsmlm.pipeline.start_events import (
    CameraMeasured,
    Informed,
    LocalizerInForce,
    Preparing,
)
from rtsmlm.realtime.latency import RecentLatency

ESTIMATE = DensityEstimate(
    first_frame=100,
    last_frame=199,
    n_frames=98,
    t_exposure_end_ns=2**62,
    mean_per_um2=0.25,
    std_per_um2=0.01,
    local_per_um2=1.5,
    new_per_um2=0.1,
    unexplained=0.3,
    crowded=False,
    area_um2=410.0,
)
ONE_OF_EACH: list[Event] = [
    Ready(),
    StreamOpened("tcp://127.0.0.1:5757"),
    PsfMeasured(132.5, 87, {"ellipticity": 1.12}),
    Localizing(),
    Preparing("localizer flagship-2d", 1, 5, "find_rows"),
    CameraMeasured(96, True, 0.46),
    LocalizerInForce(812, "gaussian-mle", "Gaussian MLE", 132.5, "the backlog grew", 700.0, 100.0),
    Informed("from frame 87 on the measured PSF width is in force"),
    Progress(
        10,
        250,
        {"total": {"p50": 3.5}},
        {"verdict": "fits", "findings": ["a", "b"]},
        recent=RecentLatency(3.5, 9.0, 4.0),
        is_watched=True,
    ),
    DensityMeasured(ESTIMATE, 12_000),
    FramesFailed(7, 9, "the frame holds NaN"),
    Warned("no live stream: port 5757 is taken"),
    Died("cannot write localizations.arrows: no space left"),
]


OF_IMAGES: list[ImageEvent] = [
    LayersOpened(["deepstorm", "another"]),
    LayersLeft(["another"]),
    LayerGrown("deepstorm", "1", False, 812, 0, 256, 320, 25.0, 0.002, "eJwDAAAAAAE="),
    Warned("the image layer of deepstorm does not grow: no memory; the run goes on"),
]


@pytest.mark.parametrize("event", OF_IMAGES, ids=lambda event: type(event).__name__)
def test_every_event_of_image_networks_crosses_to_the_analysis_alone(event: ImageEvent) -> None:
    line = to_line(event)

    assert image_event_from_line(line) == event
    if not isinstance(event, Warned):
        with pytest.raises(PipelineError, match="unknown event"):
            from_line(line)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_every_event_crosses_as_one_line_and_comes_back_equal(event: Event) -> None:
    line = to_line(event)

    assert "\n" not in line
    assert from_line(line) == event


def test_no_event_is_left_out_here_or_of_the_union() -> None:
    known = set(get_args(Event))
    records = {
        kind
        for module in (events, start_events)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    }

    of_images = set(get_args(ImageEvent))
    assert {type(event) for event in ONE_OF_EACH} == known
    assert {type(event) for event in OF_IMAGES} == of_images
    assert records == known | of_images | {PublishStatus}
    assert all(dataclasses.is_dataclass(kind) for kind in records)
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONE_OF_EACH[1].address = ""  # type: ignore[union-attr,misc]


def test_a_number_that_is_not_known_is_null_on_the_way_and_nan_on_both_sides() -> None:
    estimate = dataclasses.replace(ESTIMATE, local_per_um2=math.nan, unexplained=math.nan)

    line = to_line(DensityMeasured(estimate, 0))

    assert "NaN" not in line
    event = from_line(line)
    assert isinstance(event, DensityMeasured)
    assert math.isnan(event.estimate.local_per_um2)
    assert math.isnan(event.estimate.unexplained)
    assert event.estimate.mean_per_um2 == ESTIMATE.mean_per_um2


@given(text=st.text())
@settings(deadline=None)
def test_any_text_crosses_in_one_line(text: str) -> None:
    line = to_line(Warned(text))

    assert "\n" not in line
    assert from_line(line) == Warned(text)


def test_a_whole_number_is_a_number() -> None:
    event = from_line('{"event": "PsfMeasured", "sigma_nm": 130, "from_frame": 0, "refined": {}}')

    assert event == PsfMeasured(130.0)
    assert isinstance(event, PsfMeasured)
    assert isinstance(event.sigma_nm, float)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "OpenVINO: a warning",
        "[]",
        "7",
        "null",
        "{}",
        '{"event": 3}',
        '{"event": "Re',
        "[" * 9999,
    ],
)
def test_a_line_that_is_no_event_is_shown(line: str) -> None:
    with pytest.raises(PipelineError, match=r"^this line is no event: ") as caught:
        from_line(line)

    assert len(str(caught.value)) < 300


def test_an_unknown_event_is_named_with_those_that_are_known() -> None:
    with pytest.raises(PipelineError, match=r"unknown event 'Sneezed'; known are Preparing, Ready"):
        from_line('{"event": "Sneezed"}')


def test_a_message_for_the_analysis_is_no_event_of_it_and_the_reverse() -> None:
    status = PublishStatus({"frames_per_s": 99.5, "loop": None, "warnings": ["a"]})

    assert status_from_line(to_line(status)) == status
    with pytest.raises(PipelineError, match="unknown event 'PublishStatus'"):
        from_line(to_line(status))
    with pytest.raises(PipelineError, match="unknown message 'Ready'"):
        status_from_line(to_line(Ready()))
    with pytest.raises(PipelineError, match=r"the field PublishStatus\.status is list, not dict"):
        status_from_line('{"event": "PublishStatus", "status": []}')


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_a_field_that_is_missing_or_surplus_is_named(event: Event) -> None:
    data = json.loads(to_line(event))
    name = type(event).__name__

    with pytest.raises(PipelineError, match=f"^the event {name} has the unknown field colour$"):
        from_line(json.dumps({**data, "colour": "red"}))
    for field in set(data) - {"event"}:
        less = {key: value for key, value in data.items() if key != field}
        with pytest.raises(PipelineError, match=f"^the event {name} lacks {field}$"):
            from_line(json.dumps(less))


@pytest.mark.parametrize(
    ("event", "field", "value", "sentence"),
    [
        ("StreamOpened", "address", 5757, "StreamOpened.address is int, not str"),
        ("StreamOpened", "address", None, "StreamOpened.address is null, not str"),
        ("PsfMeasured", "sigma_nm", "130", "PsfMeasured.sigma_nm is str, not float"),
        ("PsfMeasured", "sigma_nm", True, "PsfMeasured.sigma_nm is bool, not float"),
        ("Progress", "frames", 1.5, "Progress.frames is float, not int"),
        ("Progress", "frames", True, "Progress.frames is bool, not int"),
        ("Progress", "validity", None, "Progress.validity is null, not dict"),
        ("FramesFailed", "start", None, "FramesFailed.start is null, not int"),
        ("DensityMeasured", "estimate", 0.25, "DensityMeasured.estimate is float, not Density"),
    ],
)
def test_a_field_of_another_type_is_named_with_both(
    event: str, field: str, value: Any, sentence: str
) -> None:
    [good] = [e for e in ONE_OF_EACH if type(e).__name__ == event]
    data = {**json.loads(to_line(good)), field: value}

    with pytest.raises(PipelineError, match=f"^the field {sentence}"):
        from_line(json.dumps(data))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("crowded", 1, r"DensityMeasured\.estimate\.crowded is int, not bool"),
        ("first_frame", "0", r"DensityMeasured\.estimate\.first_frame is str, not int"),
        ("area_um2", [], r"DensityMeasured\.estimate\.area_um2 is list, not float"),
    ],
)
def test_a_field_within_the_estimate_is_named_in_full(
    field: str, value: Any, sentence: str
) -> None:
    data = json.loads(to_line(DensityMeasured(ESTIMATE, 0)))
    data["estimate"][field] = value

    with pytest.raises(PipelineError, match=sentence):
        from_line(json.dumps(data))
