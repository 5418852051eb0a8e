"""Images of the rows of a run: made anew as the table grows, and of all of it after the run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.engines.blended_parts import OnPart
from rtsmlm.files.tables.arrow_file import ArrowStreamFile
from rtsmlm.localizations import Localizations
from rtsmlm.pipeline import table_layers
from rtsmlm.pipeline.growing_layers import grown
from rtsmlm.pipeline.table_layers import TableLayers
from rtsmlm.protocols import ImageLayer


class Counting:
    """Stands in for a network of localizations: its image is the number of rows."""

    def __init__(self, name: str = "counting", fails_at: int | None = None) -> None:
        self.name, self.n_localizations, self.fails_at = name, 0, fails_at
        self.remarks: dict[str, str] = {}

    def add_localizations(self, rows: Localizations) -> None:
        self.n_localizations += len(rows)

    def clear(self) -> None:
        self.n_localizations = 0

    def layer(self, on_part: OnPart = lambda done, total: None) -> ImageLayer:
        on_part(0, 1)
        if self.fails_at is not None and self.n_localizations >= self.fails_at:
            raise RuntimeError("no memory")
        return self._image("prediction")

    def uncertainty(self, on_part: OnPart = lambda done, total: None) -> ImageLayer:
        on_part(0, 1)
        return self._image("uncertainty")

    def _image(self, quantity: Any) -> ImageLayer:
        image = np.full((4, 4), self.n_localizations, dtype=np.float32)
        return ImageLayer(
            self.name, 20.0, image, n_localizations=self.n_localizations, quantity=quantity
        )


def rows(n: int, frame: int) -> Localizations:
    return Localizations.from_columns(
        {"frame": np.full(n, frame), "x_nm": np.arange(n), "y_nm": np.zeros(n)}
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_layers, "EVERY_S", 0.0)


def layers_of(
    path: Path,
    networks: list[Counting],
    show: Callable[[ImageLayer], None],
    *,
    fail: Callable[[str, BaseException], None] = lambda name, error: None,
    note: Callable[[str], None] = lambda text: None,
) -> TableLayers:
    return TableLayers(path, networks, show, fail, note)  # type: ignore[arg-type]


def update(layers: TableLayers) -> None:
    layers._next_s = 0.0
    layers.update(threading.Event())


def test_images_follow_the_table_and_begin_again_where_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    seen: list[ImageLayer] = []
    layers = layers_of(path, [Counting()], seen.append)

    update(layers)
    assert not seen, "there is no table yet"
    with ArrowStreamFile(path, {}) as table:
        table.put(rows(30, 0))
        update(layers)
        table.put(rows(12, 5))
        update(layers)
        update(layers)
    assert [(layer.quantity, layer.n_localizations) for layer in seen] == [
        ("prediction", 30), ("uncertainty", 30), ("prediction", 42), ("uncertainty", 42),
    ], "and nothing where nothing is new"  # fmt: skip

    with ArrowStreamFile.resume(path, 5) as table:  # as an analysis that is restarted
        table.put(rows(7, 6))
        update(layers)
        update(layers)
    assert seen[-1].n_localizations == 37


def test_a_network_that_fails_is_left_out_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    seen: list[ImageLayer] = []
    failed: list[str] = []
    networks = [Counting("large", fails_at=20), Counting()]
    layers = layers_of(
        path, networks, seen.append, fail=lambda name, error: failed.append(str(error))
    )

    with ArrowStreamFile(path, {}) as table:
        table.put(rows(30, 0))
        update(layers)
        table.put(rows(1, 1))
        update(layers)

    assert failed == ["no memory"]
    assert [layer.n_localizations for layer in seen if layer.quantity == "prediction"] == [30, 31]


def test_what_a_network_was_not_given_is_said_once_for_each_thing(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    notes: list[str] = []
    network = Counting()
    layers = layers_of(path, [network], lambda layer: None, note=notes.append)

    with ArrowStreamFile(path, {}) as table:
        for frame in range(4):
            table.put(rows(4, frame))
            if frame == 1:
                network.remarks["widefield"] = "no light"
            if frame >= 2:
                network.remarks["field"] = f"{frame} beside it"
            update(layers)

    assert notes == ["counting: no light", "counting: 2 beside it"]


def test_the_end_of_the_run_is_not_held_up_by_an_image(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    stop = threading.Event()
    seen: list[ImageLayer] = []

    def show(layer: ImageLayer) -> None:
        seen.append(layer)
        stop.set()

    layers = layers_of(path, [Counting(), Counting()], show)
    with ArrowStreamFile(path, {}) as table:
        table.put(rows(3, 0))
        layers.update(stop)

    assert [layer.quantity for layer in seen] == ["prediction"]


def test_an_image_of_many_parts_ends_with_the_part_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "localizations.arrows"
    stop = threading.Event()
    seen: list[ImageLayer] = []
    failed: list[str] = []
    parts: list[int] = []

    class Large(Counting):
        def layer(self, on_part: OnPart = lambda done, total: None) -> ImageLayer:
            for part in range(1000):
                on_part(part, 1000)
                parts.append(part)
                if part == 2:
                    stop.set()
            return super().layer()

    layers = layers_of(
        path, [Large(), Large()], seen.append, fail=lambda name, error: failed.append(name)
    )
    with ArrowStreamFile(path, {}) as table:
        table.put(rows(3, 0))
        layers.update(stop)

    assert parts == [0, 1, 2]
    assert not seen
    assert not failed
    assert len(layers) == 2


def test_what_is_sent_says_which_of_both_images_it_is() -> None:
    network = Counting()
    network.add_localizations(rows(5, 0))

    events = [grown(network.layer()), grown(network.uncertainty())]

    assert [event.is_uncertainty for event in events] == [False, True]
    assert {event.n_localizations for event in events} == {5}
