"""A network that tells dyes apart as a model folder: manifest of the task box-classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from rtsmlm.models.manifest import (
    UNTRAINED,
    ChannelEntry,
    DecodeEntry,
    Manifest,
    TensorEntry,
    ValidRanges,
)
from rtsmlm.models.training.recipe import Recipe

MIN_PROBABILITY = 0.9
"""Rows whose most probable dye is less probable are in no channel, unless settings ask for less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a network is given, and what it answers beside the probabilities."""

    given: str
    """Name of the input."""
    shape: tuple[int, int]
    """Its height and width."""
    meaning: str
    origin: str
    further: Sequence[tuple[str, str]] = ()
    """Names and units of channels after the probabilities."""


def manifest_of(
    network: nn.Module,
    recipe: Recipe,
    names: Sequence[str],
    question: Question,
    valid: ValidRanges,
    *,
    kmac: float,
    wavelengths_nm: tuple[float, float] | None = None,
    z_range_nm: tuple[float, float] | None = None,
) -> Manifest:
    """Return the manifest.

    Parameters
    ----------
    network
        What was trained.
    recipe
        What it was trained by.
    names
        Of the dyes, in the order of the probabilities.
    question
        Input and output.
    valid
        Where it holds.
    kmac
        Thousand multiply-accumulates of a box.
    wavelengths_nm
        Of the first and the last sample of a spectrum.
    z_range_nm
        Depths that it finds.
    """
    height, width = question.shape
    of_light = question.given == "photons"
    entries = [*((name, "1") for name in names), *question.further]
    return Manifest(
        name=recipe.name,
        version="0",
        task="box-classes",
        architecture=recipe.network.architecture,
        size=recipe.network.size,
        psf="any",
        z_range_nm=z_range_nm,
        # Spots have the shape of the training on pixels of the training; spectra have none.
        pixel_nm=recipe.optics.pixel_nm if of_light else None,
        spot_px=width if of_light else None,
        wavelengths_nm=wavelengths_nm,
        origin=question.origin,
        window_frames=1,
        block_px=1,
        parameters=sum(value.numel() for value in network.parameters()),
        kmac_per_px=round(kmac / (height * width), 3),
        inputs=(
            TensorEntry(name=question.given, dtype="float32",
                        shape=("n", "1", str(height), str(width)), unit="photon/px",
                        meaning=question.meaning),
        ),
        outputs=(
            TensorEntry(name="classes", dtype="float32", shape=("n", str(len(entries))),
                        unit="see channels", meaning="probability of each dye, and what follows"),
        ),
        channels=tuple(
            ChannelEntry(name=name, first=i, count=1, unit=unit, activation="none")
            for i, (name, unit) in enumerate(entries)
        ),
        valid=valid,
        decode=DecodeEntry(min_probability=MIN_PROBABILITY),
        training=UNTRAINED,
        files=(),
    )  # fmt: skip
