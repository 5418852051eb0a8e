"""Settings of a run whose localizer tells dyes apart by itself, in frames of one view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the models are written by torch")

from torch import Tensor, nn  # noqa: E402

from rtsmlm.calibration import CameraCalibration  # noqa: E402
from rtsmlm.engines.colour_localizer import with_dye_names  # noqa: E402
from rtsmlm.errors import ConfigError  # noqa: E402
from rtsmlm.models.manifest import read_manifest, save_manifest  # noqa: E402
from rtsmlm.pipeline.localizer import extra_columns_stated, open_localizer  # noqa: E402
from rtsmlm.settings.load import load  # noqa: E402

MakeModel = Callable[..., Path]
CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0)


class Still(nn.Module):
    """Frames as they are."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames * 1.0


@pytest.fixture
def colours(make_model: MakeModel) -> Path:
    """Return a model whose manifest names two dyes."""
    folder = make_model(Still(), {"frames": (1, 8, 8)}, task="localize", name="dyes")
    named = {"colours": ("green", "red")}
    save_manifest(read_manifest(folder).model_copy(update=named), folder)
    return folder


def test_channels_have_the_names_of_the_dyes_unless_the_settings_name_them(colours: Path) -> None:
    plain = load(None, [f"localizer.name={colours}"])
    named = load(None, [f"localizer.name={colours}", 'channels.names=["actin","pores"]'])

    assert extra_columns_stated(plain)["channels"] == ["green", "red"]
    assert extra_columns_stated(plain)["extra_columns"] == {"channel_probability": "1"}
    assert with_dye_names(plain).channels.names == ("green", "red")
    assert extra_columns_stated(named)["channels"] == ["actin", "pores"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('channels.names=["one","two","three"]', "3 names; dyes tells 2 dyes apart: green, red"),
        ("localizer.colour=kim", r"take localizer\.colour out"),
        ('channels.views=[{name="a",region=[0,0,8,8]}]', r"take channels\.views out"),
    ],
)
def test_channels_of_another_kind_are_refused(more: str, said: str, colours: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        open_localizer(load(None, [f"localizer.name={colours}", more]), CALIBRATION, 130.0)
