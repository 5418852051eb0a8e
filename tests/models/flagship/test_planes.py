"""The planes that the CPU makes are those that the network was trained on."""

import numpy as np
import pytest

from rtsmlm.models.flagship.planes import PlaneMaker

torch = pytest.importorskip("torch", reason="the reference is torch")

from rtsmlm.models.flagship.network import stabilize  # noqa: E402


@pytest.mark.parametrize("shape", [(8, 8), (16, 40), (64, 48)])
def test_planes_equal_those_of_training(shape: tuple[int, int], rng: np.random.Generator) -> None:
    n = 3
    frames = rng.integers(90, 60000, (n + 2, *shape)).astype(np.uint16)
    offset = rng.normal(100, 3, shape).astype(np.float32)
    gain = rng.normal(0.5, 0.02, shape).astype(np.float32)
    variance = rng.uniform(0, 30, shape).astype(np.float32)
    context = np.array([[0, 1], [1, 1], [1, 0]], dtype=np.float32)

    planes = PlaneMaker(n, (offset, gain, variance))(frames, context)

    photons = (frames.astype(np.float32) - offset) * gain
    triples = np.stack([photons[i : i + n] for i in range(3)], axis=1)
    expected = stabilize(
        torch.from_numpy(triples),
        torch.from_numpy(variance)[None, None],
        torch.from_numpy(context),
    )
    expected = torch.nn.functional.pixel_unshuffle(expected, 2).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(planes, expected, atol=1e-4)
