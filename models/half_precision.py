"""Weights on disk in half precision: which are, and how they become float32 again.

A model is half as large in float16, and what it says changes by less than a thousandth of its own
error. Biases, the numbers of a normalization and small tables stay in float32: they cost next to
nothing, and shift everything that comes after them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from rtsmlm.errors import FileFormatError, LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.manifest import WEIGHTS_NAME

Stored: TypeAlias = Literal["float32", "float16"]

_LEAST_NUMBERS = 256
_LARGEST = float(np.finfo(np.float16).max)
_LEAST_TOP = 64 * float(np.finfo(np.float16).tiny)
"""Below it most numbers of a tensor have fewer than eleven digits in float16."""


def bears_half(name: str, values: NDArray[Any]) -> bool:
    """Tell whether a tensor is stored in half precision.

    Parameters
    ----------
    name
        Of the tensor, for the message.
    values
        The tensor; one with fewer than two axes is a bias or belongs to a normalization.

    Raises
    ------
    LocalizerError
        If it should be, and a number of it is larger than float16 can hold, or is none.
    """
    if values.dtype != np.float32 or values.ndim < 2 or values.size < _LEAST_NUMBERS:
        return False
    top = float(np.abs(values).max())
    if not top <= _LARGEST:  # a number that is none compares false, too
        raise LocalizerError(
            f"weight {name} reaches {top:.3g}; float16 holds {_LARGEST:.0f}: train with more "
            "weight decay, or export in float32 (half=False)"
        )
    return top >= _LEAST_TOP


def load_weights(folder: Path) -> dict[str, F32]:
    """Return the weights of a model folder by name, in float32 however they are stored.

    Raises
    ------
    FileFormatError
        If they cannot be read.
    """
    path = folder / WEIGHTS_NAME
    try:
        return {name: values.astype(np.float32) for name, values in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"cannot read the weights {path}: {error}") from error


def stored_as(folder: Path) -> Stored:
    """Return in what the weights of a model folder are stored."""
    with safe_open(folder / WEIGHTS_NAME, framework="np") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return "float16" if "F16" in kinds else "float32"
