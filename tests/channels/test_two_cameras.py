"""Two colours on two cameras behind one mirror: the same light gives the same rows as one chip."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.drivers.micromanager.camera import open_camera
from rtsmlm.files.movies.open import open_movie
from rtsmlm.files.run.report import RunReport
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.session.session import Session
from rtsmlm.settings.load import load, packaged
from rtsmlm.settings.run import RunSettings

N_FRAMES = 40
LOST_EVERY = 7
ONE_CHIP: dict[str, Any] = {
    "Camera.Width": 96,
    "Camera.Height": 64,
    "Camera.Pacing": "fast",
    "Camera.StartAllOn": 1,
}
TWO_CAMERAS = {**ONE_CHIP, "Camera.Cameras": 2}


@pytest.fixture
def two_colour_run(tmp_path: Path) -> Callable[..., RunReport]:
    """Return a function that makes a run of the simulated microscope of two views."""

    def run(name: str, properties: dict[str, Any], cameras: tuple[str, ...] = ()) -> RunReport:
        settings = load(
            packaged("sim_two_colour.toml"),
            [
                f"results.out={tmp_path.as_posix()}",
                f"results.name={name}",
                f"acquisition.frames={N_FRAMES}",
                "pipeline.process=false",
                "pipeline.when_behind=wait",
                "stream.address=tcp://127.0.0.1:*",
            ],
        )
        views = tuple(
            view.model_copy(update={"region": (48 * k, 0, 48, 64)})
            for k, view in enumerate(settings.channels.views)
        )
        micromanager = settings.micromanager.model_copy(
            update={"properties": properties, "cameras": cameras}
        )
        channels = settings.channels.model_copy(update={"views": views})
        return lived(
            settings.model_copy(update={"micromanager": micromanager, "channels": channels})
        )

    return run


def lived(settings: RunSettings) -> RunReport:
    session = Session(open_camera(settings), settings)
    try:
        session.start()
        assert session.wait(120)
    finally:
        report = session.close()
    assert report.ok, report.failures
    return report


COLUMNS = ("frame", "x_nm", "y_nm", "photons", "background", "std_x_nm", "std_y_nm", "channel")


def rows_of(report: RunReport) -> dict[str, np.ndarray]:
    table, _ = read_arrow_table(report.folder / "localizations.arrows")
    rows = {name: getattr(table, name) for name in COLUMNS} | dict(table.extras)
    order = np.lexsort((rows["y_nm"], rows["x_nm"], rows["frame"]))
    return {name: values[order] for name, values in rows.items()}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert len(one["frame"]) > 100
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_two_cameras_give_the_rows_of_the_chip_that_is_split(
    two_colour_run: Callable[..., RunReport],
) -> None:
    chip = two_colour_run("chip", ONE_CHIP)
    cameras = two_colour_run("cameras", TWO_CAMERAS, ("short", "long"))

    assert_same(rows_of(chip), rows_of(cameras))
    with open_movie(chip.folder) as one, open_movie(cameras.folder) as other:
        everything = np.arange(N_FRAMES)
        np.testing.assert_array_equal(one.read(everything), other.read(everything))


@pytest.mark.parametrize("loser", [1, 2])
def test_frames_that_one_camera_lost_are_counted_and_the_others_are_as_they_were(
    two_colour_run: Callable[..., RunReport], loser: int
) -> None:
    whole = rows_of(two_colour_run("whole", {**TWO_CAMERAS}, ("short", "long")))
    drill = {"Camera.FaultDropEvery": LOST_EVERY, "Camera.FaultDropCamera": loser}

    report = two_colour_run("lossy", {**TWO_CAMERAS, **drill}, ("short", "long"))

    ledger = json.loads((report.folder / "ledger.json").read_text())
    assert ledger["balances"]
    assert ledger["received"] == ledger["localized"] + ledger["skipped"] == N_FRAMES
    n_lost = N_FRAMES // (LOST_EVERY - 1)
    assert ledger["lost"] == n_lost
    lossy = rows_of(report)
    assert not np.any((lossy["frame"] + 1) % LOST_EVERY == 0)
    kept = (whole["frame"] + 1) % LOST_EVERY != 0
    before = lossy["frame"] < N_FRAMES
    assert_same(
        {name: values[kept] for name, values in whole.items()},
        {name: values[before] for name, values in lossy.items()},
    )


def test_the_order_of_the_cameras_is_that_of_the_settings(
    two_colour_run: Callable[..., RunReport],
) -> None:
    chip = two_colour_run("chip", ONE_CHIP)
    swapped = two_colour_run("swapped", TWO_CAMERAS, ("long", "short"))

    with open_movie(chip.folder) as one, open_movie(swapped.folder) as other:
        left, right = np.split(one.read([0])[0], 2, axis=1)
        np.testing.assert_array_equal(other.read([0])[0], np.hstack([right, left]))
