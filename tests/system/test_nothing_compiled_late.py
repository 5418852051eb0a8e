"""All is compiled before the first exposure: nothing that a frame needs is compiled after it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHILD = Path(__file__).with_name("compiled_child.py")
CURVES = (
    "psf.astigmatism={ z_min_nm = -500, z_max_nm = 500, "
    "x = { sigma0_nm = 130, focus_nm = 220, depth_nm = 400 }, "
    "y = { sigma0_nm = 130, focus_nm = -220, depth_nm = 400 } }"
)


def run(out: Path, *overrides: str) -> dict[str, Any]:
    """Run in an interpreter of its own."""
    subprocess.run([sys.executable, "-P", str(CHILD), str(out), *overrides], check=True)
    found: dict[str, Any] = json.loads((out / "compiled.json").read_text(encoding="utf-8"))
    assert found["localized"] == 150
    return found


@pytest.mark.parametrize(
    "overrides",
    [
        ("localizer.name=gaussian-mle", "psf.sigma_nm=auto", "feedback.tick_s=0.2"),
        ("localizer.name=flagship-2d", "psf.sigma_nm=150"),
        ("localizer.name=astigmatic-mle", CURVES),
        ("localizer.name=flagship-astig", CURVES),
    ],
    ids=["fit, width measured", "network", "z", "network of z"],
)
def test_no_function_and_no_graph_is_compiled_while_frames_come(
    tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    found = run(tmp_path, *overrides)

    assert found["functions"] == []
    assert found["graphs_later"] == 0


def test_with_another_psf_width_the_graphs_alone_are_compiled_again(tmp_path: Path) -> None:
    network = "localizer.name=flagship-2d"
    once = run(tmp_path / "stated", network, "psf.sigma_nm=130", "psf.refine=false")

    found = run(tmp_path / "measured", network, "psf.sigma_nm=auto")

    assert found["functions"] == []
    # As the width is known, in the first seconds or on a busy machine as the run ends, and for the
    # frames before it, which are localized again then.
    assert once["graphs"] < found["graphs"] <= 3 * once["graphs"]
