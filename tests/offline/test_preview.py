"""The image of a report shows single localizations, and is small."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.offline.preview import SIDE_PX, preview_png

QtGui = pytest.importorskip("PySide6.QtGui", reason="needs Qt to read the picture")


@pytest.mark.parametrize("n", [1, 300, 400_000])
def test_of_few_and_of_many_localizations_a_good_part_is_bright(
    n: int, rng: np.random.Generator
) -> None:
    image = np.zeros((2560, 2560), np.float32)
    rows, columns = rng.integers(0, 2560, (2, n))
    np.add.at(image, (rows, columns), 1.0)

    png = preview_png(image, 10.0)

    read = QtGui.QImage.fromData(png).convertToFormat(QtGui.QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(read.constBits(), np.uint8).reshape(read.height(), read.bytesPerLine())
    shown = rows[:-80, : read.width()]
    assert max(shown.shape) <= SIDE_PX
    assert len(png) < 1_500_000
    assert np.count_nonzero(shown > 120) >= min(n, 3000)


def test_an_empty_image_is_black() -> None:
    assert preview_png(np.zeros((64, 32), np.float32), 10.0).startswith(b"\x89PNG")
