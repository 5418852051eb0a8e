"""Train the network of `own_network.py`, and write a model folder that rtsmlm runs by its path.

python train.py --minutes 3 --out my-model
rtsmlm live --set localizer.name=./my-model
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from threading import Event

from own_network import OwnArchitecture

from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.training.checkpoint import FILE_NAME
from rtsmlm.models.training.packaging import export_model
from rtsmlm.models.training.recipe import NetworkSection, Recipe, TrainingSection
from rtsmlm.models.training.trainer import Report, Trainer


def main() -> None:
    """Train for some minutes and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--steps", type=int, help="train so many steps instead")
    parser.add_argument("--size", default="small")
    parser.add_argument("--out", type=Path, default=Path("my-model"))
    asked = parser.parse_args()
    schedule = {"steps": asked.steps} if asked.steps else {"hours": asked.minutes / 60.0}
    recipe = Recipe(
        name="own-network",
        network=NetworkSection(architecture="pixel-maps", size=asked.size),
        # A part of what is simulated for the flagship: the less there is to learn, the sooner.
        simulation=SimulationRanges(
            sigma_px=(0.9, 1.7),
            density=(0.02, 2.0),
            photons=(300.0, 10000.0),
            background=(1.0, 200.0),
            computed_fraction=0.0,
        ),
        training=TrainingSection(
            batch_windows=8, matrix_rate=0.01, held_out_windows=32, **schedule
        ),
    )
    architecture = OwnArchitecture()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(recipe, Path(folder), architecture=architecture)
        trainer.run(Event(), show)
        export_model(Path(folder) / FILE_NAME, asked.out, version="1", architecture=architecture)
    print(f"\nthe model lies in {asked.out}")


def show(report: Report) -> None:
    """Print how far the training is."""
    if report.step % 20 == 0:
        print(f"\r{report.done:4.0%}  step {report.step}  loss {report.loss:.3f}", end="")


if __name__ == "__main__":
    main()
