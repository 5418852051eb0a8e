"""What a network of boxes states beyond the columns of the table reaches it, live and offline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.files.tables.arrow_file import read_arrow_table
from rtsmlm.offline.reconstruct import Reconstruction
from rtsmlm.session.session import Session
from rtsmlm.settings.run import RunSettings

torch = pytest.importorskip("torch", reason="the models are written by torch")

BOX = 11


class Toy(torch.nn.Module):  # type: ignore[misc]
    """Centre of mass, light, background, an aberration and the probability of an emitter."""

    def forward(self, photons: Any) -> Any:
        edge = photons[:, :, :1].mean(dim=(1, 2, 3), keepdim=True)
        light = (photons - edge).clamp(min=0.0)
        total = light.sum(dim=(1, 2, 3))
        side = torch.arange(BOX, dtype=torch.float32) - (BOX - 1) / 2
        x = (light * side).sum(dim=(1, 2, 3)) / total
        y = (light * side[:, None]).sum(dim=(1, 2, 3)) / total
        sure = torch.sigmoid(total / 1000.0)
        return torch.stack([x, y, total, edge[:, 0, 0, 0], 30.0 * x - y, sure], dim=1)


def test_aberrations_are_in_the_table_of_a_live_run_and_of_its_reconstruction(
    make_model: Callable[..., Path],
    spot_camera: Callable[..., Any],
    quick_settings: Callable[..., RunSettings],
) -> None:
    folder = make_model(
        Toy(), {"photons": (2, 1, BOX, BOX)}, task="box-parameters",
        channels=("x", "y", "photons", "background", "zernike_3_1_nm", "probability"),
        axes={"photons": {0: "n"}, "answer": {0: "n"}},
    )  # fmt: skip
    settings = quick_settings(
        "acquisition.frames=40", f"localizer.name={folder}", "results.export=['csv']"
    )
    session = Session(spot_camera(), settings)
    try:
        session.start()
        assert session.wait(60)
    finally:
        report = session.close()
    again = RunFolder.create(report.folder.parent, "again")
    with Reconstruction([report.folder / "raw.ome.zarr"], settings, lambda: again) as work:
        work.run(lambda done, found: None, lambda step: None)

    assert report.ok, report.failures
    live, metadata = read_arrow_table(report.folder / "localizations.arrows")
    offline, stated = read_arrow_table(again.localizations)
    for found in (metadata, stated):
        assert found["extra_columns"] == {"zernike_3_1_nm": "1"}, "probability is a column"
        assert found["extra_columns_of"] == "toy 1"
    assert len(live) == len(offline) > 40
    assert np.isfinite(live.extras["zernike_3_1_nm"]).all()
    np.testing.assert_array_equal(live.extras["zernike_3_1_nm"], offline.extras["zernike_3_1_nm"])
    assert 0.5 < live.probability.min() < live.probability.max() < 1.0
    header = (report.folder / "localizations.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.endswith('"zernike_3_1_nm [1]"') or header.endswith('"zernike_3_1_nm"')
