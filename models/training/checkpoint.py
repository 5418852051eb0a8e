"""State of a training as one safetensors file: weights, their running mean, optimizer, progress."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rtsmlm.errors import ConfigError, FileFormatError

FILE_NAME = "checkpoint.safetensors"


@dataclass(slots=True)
class Progress:
    """How far a training is."""

    step: int = 0
    seconds: float = 0.0
    """Time spent training, over all its parts."""
    windows: int = 0


def save_checkpoint(
    folder: Path,
    network: nn.Module,
    mean: dict[str, Tensor],
    optimizers: dict[str, torch.optim.Optimizer],
    progress: Progress,
    recipe_json: str,
) -> None:
    """Write the state; a crash while writing leaves the one before.

    Parameters
    ----------
    folder
        Where `checkpoint.safetensors` goes.
    network
        Its weights are written as `weights.*`.
    mean
        Running mean of the weights, written as `mean.*`.
    optimizers
        Their states are written as `<name>.<parameter>.<quantity>`.
    progress
        Where the training stands.
    recipe_json
        The recipe, to be read again.
    """
    tensors = {f"weights.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"mean.{name}": value for name, value in mean.items()}
    names = {id(value): name for name, value in network.named_parameters()}
    for kind, optimizer in optimizers.items():
        for parameter, state in optimizer.state.items():
            for quantity, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{kind}.{names[id(parameter)]}.{quantity}"] = value
    metadata = {"progress": json.dumps(asdict(progress)), "recipe": recipe_json}
    part = folder / (FILE_NAME + ".part")
    save_file({k: v.detach().contiguous().cpu() for k, v in tensors.items()}, part, metadata)
    part.replace(folder / FILE_NAME)


def load_checkpoint(
    path: Path,
    network: nn.Module,
    mean: dict[str, Tensor],
    optimizers: dict[str, torch.optim.Optimizer],
) -> Progress:
    """Read the state that `save_checkpoint` wrote into the given objects.

    Raises
    ------
    FileFormatError
        If the file cannot be read.
    ConfigError
        If it belongs to a network of another size.
    """
    tensors, metadata = _read(path)
    weights = {k[8:]: v for k, v in tensors.items() if k.startswith("weights.")}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"{path} belongs to a network of another size than the recipe asks for: {error}"
        ) from error
    for name in mean:
        mean[name].copy_(tensors[f"mean.{name}"])
    parameters = dict(network.named_parameters())
    for kind, optimizer in optimizers.items():
        for key, value in tensors.items():
            owner, _, rest = key.partition(".")
            name, _, quantity = rest.rpartition(".")
            if owner == kind and name in parameters:
                device = parameters[name].device if value.ndim else value.device
                optimizer.state[parameters[name]][quantity] = value.to(device)
    return Progress(**json.loads(metadata["progress"]))


def mean_weights(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the running mean of the weights and the recipe (as JSON) of a checkpoint."""
    tensors, metadata = _read(path)
    return {k[5:]: v for k, v in tensors.items() if k.startswith("mean.")}, metadata["recipe"]


def read_progress(path: Path) -> Progress:
    """Return how far the training of a checkpoint was."""
    return Progress(**json.loads(_read(path)[1]["progress"]))


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"cannot read the checkpoint {path}: {error}") from error
    if missing := {"progress", "recipe"} - metadata.keys():
        raise FileFormatError(
            f"{path} is not a checkpoint: it states no {' and no '.join(sorted(missing))}; give "
            f"the {FILE_NAME} of a training folder"
        )
    return tensors, metadata
