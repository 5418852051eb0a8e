"""Trains a network on simulated windows, by steps or by time, and goes on where it stopped."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from rtsmlm.models.catalog import find_model
from rtsmlm.models.half_precision import load_weights
from rtsmlm.models.training.checkpoint import FILE_NAME, Progress, load_checkpoint, save_checkpoint
from rtsmlm.models.training.optimizer import Muon
from rtsmlm.models.training.recipe import Recipe, TrainingSection
from rtsmlm.models.training.trainable import Trainable, trainable_of

logger = logging.getLogger(__name__)
LOG_NAME = "metrics.jsonl"
HELD_OUT_SEED = 977_000
HELD_OUT_CHUNK = 32


@dataclass(frozen=True, slots=True)
class Report:
    """What `train` tells while it runs."""

    step: int
    done: float
    """Share of the schedule, 0..1."""
    loss: float
    """Mean of the last steps."""
    windows_per_s: float


def rate_factor(done: float, settings: TrainingSection) -> float:
    """Return the factor on the peak learning rate: up, level, and down along a cosine."""
    rise = min(1.0, (done + 1e-4) / max(settings.warm_up, 1e-4))
    fall = min(1.0, max(0.0, 1.0 - done) / settings.decay)
    return rise * 0.5 * (1.0 - math.cos(math.pi * fall))


def join_processes(device: str) -> str:
    """Join the other processes that torchrun has started, if any, and return this one's device.

    Parameters
    ----------
    device
        `cpu` or `cuda`; each process of several takes a GPU of its own.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return device
    on_gpu = device.startswith("cuda")
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if on_gpu else device


@contextmanager
def without_denormals() -> Iterator[None]:
    """Take numbers below 1e-38 for zero in this thread, as long as this lasts.

    Gradients of far points are as small, and take a CPU ten times as long. Other code needs these
    numbers: the tree of neighbours of scipy never ends without them.
    """
    were_there = float(np.float64(np.finfo(np.float64).smallest_subnormal) * np.float64(1.0)) > 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not were_there)


class Trainer:
    """A training that can be stopped and resumed.

    Parameters
    ----------
    recipe
        What to train on what.
    folder
        Where checkpoint and log go.
    device
        `cpu`, `cuda`, ...; with several processes (torchrun) each has its own.
    architecture
        What is trained; by default what the recipe names.

    Raises
    ------
    ConfigError
        If the recipe names an architecture, a size or a model to start from that is not there.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        device: str = "cpu",
        *,
        architecture: Trainable[Any, Any] | None = None,
    ) -> None:
        self.architecture = architecture or trainable_of(recipe)
        self.recipe = recipe
        self.folder = folder
        self.device = torch.device(device)
        self.rank = int(os.environ.get("RANK", "0"))
        settings = recipe.training
        torch.manual_seed(settings.seed)
        network = self.architecture.build(recipe)
        if settings.start is not None:
            weights = load_weights(find_model(settings.start))
            self.architecture.start_from(network, weights)
        network = network.to(self.device)
        # NHWC: what oneDNN and tensor cores want.
        self.network: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        hidden = {
            name: p
            for name, p in self.network.named_parameters()
            if p.ndim == 4 and self.architecture.hidden(name)
        }
        others = [p for name, p in self.network.named_parameters() if name not in hidden]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adam": torch.optim.AdamW(others, lr=settings.vector_rate, betas=(0.9, 0.99))
        }
        if hidden:
            self.optimizers["muon"] = Muon(hidden.values(), lr=settings.matrix_rate)
        self.rates = {"muon": settings.matrix_rate, "adam": settings.vector_rate}
        self.sample = self.architecture.sampler(recipe, self.device)
        self.progress = Progress()
        self._held_out: list[Any] = []

    def resume(self, path: Path | None = None) -> None:
        """Go on from a checkpoint, by default the one in the folder."""
        path = path or self.folder / FILE_NAME
        self.progress = load_checkpoint(path, self.network, self.mean, self.optimizers)

    def done(self) -> float:
        """Return the share of the schedule that is behind us."""
        settings = self.recipe.training
        if settings.hours is not None:
            return self.progress.seconds / (3600.0 * settings.hours)
        return self.progress.step / settings.steps

    def run(self, stop: Event, report: Callable[[Report], None] | None = None) -> None:
        """Train until the schedule ends or `stop` is set; the state is saved in either case."""
        with without_denormals():
            self._run(stop, report)

    def _run(self, stop: Event, report: Callable[[Report], None] | None) -> None:
        settings = self.recipe.training
        self.folder.mkdir(parents=True, exist_ok=True)
        generator = torch.Generator(self.device)
        generator.manual_seed(settings.seed * 7919 + self.progress.step * 31 + self.rank)
        last = saved = time.monotonic()
        recent: list[float] = []
        while (done := self._agree(stop)) < 1.0:
            loss = self._step(generator, done)
            now = time.monotonic()
            self.progress.step += 1
            self.progress.windows += settings.batch_windows
            self.progress.seconds += now - last
            recent = [*recent[-99:], loss]
            if report is not None:
                rate = self.progress.windows / max(self.progress.seconds, 1e-9)
                mean = sum(recent) / len(recent)
                report(Report(self.progress.step, min(self.done(), 1.0), mean, rate))
            if now - saved > 60.0 * settings.checkpoint_minutes:
                self.save(sum(recent) / len(recent))
                saved = time.monotonic()
            last = now
        if recent:
            self.save(sum(recent) / len(recent))

    def _agree(self, stop: Event) -> float:
        """Return how much is done, the same in all processes; 1 where one of them stops."""
        done = 1.0 if stop.is_set() else self.done()
        if not distributed.is_initialized():
            return done
        most = torch.tensor([done], dtype=torch.float64, device=self.device)
        distributed.all_reduce(most, distributed.ReduceOp.MAX)
        return float(most)

    def _step(self, generator: torch.Generator, done: float) -> float:
        settings = self.recipe.training
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[name] * rate_factor(done, settings)
        crowding = min(1.0, 0.15 + done / max(settings.ramp, 1e-6))
        samples = self.sample(settings.batch_windows, generator, crowding)
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            output = self.architecture.forward(self.network, samples)
        loss = self.architecture.loss(output, samples, self.recipe)["total"]
        loss.backward()  # type: ignore[no-untyped-call]
        self._average_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        finite = bool(torch.isfinite(norm))
        for optimizer in self.optimizers.values():
            if finite:
                optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if finite:
            self._update_mean()
        else:
            logger.warning("step %d left out: the gradient is not finite", self.progress.step)
        return float(loss.detach())

    def _average_gradients(self) -> None:
        if distributed.is_initialized():
            for parameter in self.network.parameters():
                if parameter.grad is not None:
                    distributed.all_reduce(parameter.grad)
                    parameter.grad.div_(distributed.get_world_size())

    @torch.no_grad()
    def _update_mean(self) -> None:
        # The first steps count less long, or the random start would linger.
        step = self.progress.step
        decay = min(self.recipe.training.ema_decay, (1.0 + step) / (10.0 + step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.mean[name].lerp_(value, 1.0 - decay)
            else:  # a batch norm counts its batches
                self.mean[name].copy_(value)

    @torch.no_grad()
    def held_out_loss(self) -> dict[str, float]:
        """Return the loss terms of the mean weights on samples that are never trained on."""
        if not self._held_out:
            n = max(1, self.recipe.training.held_out_windows // HELD_OUT_CHUNK)
            for i in range(n):
                generator = torch.Generator(self.device).manual_seed(HELD_OUT_SEED + i)
                self._held_out.append(self.sample(HELD_OUT_CHUNK, generator, 1.0))
        trained = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.mean)
        self.network.eval()
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            outputs = [self.architecture.forward(self.network, s) for s in self._held_out]
        self.network.load_state_dict(trained)
        self.network.train()
        terms = [
            self.architecture.loss(output, samples, self.recipe)
            for output, samples in zip(outputs, self._held_out, strict=True)
        ]
        return {name: sum(float(term[name]) for term in terms) / len(terms) for name in terms[0]}

    def save(self, loss: float) -> None:
        """Write the checkpoint and one line of metrics; only the first process does."""
        if self.rank != 0:
            return
        save_checkpoint(
            self.folder,
            self.network,
            self.mean,
            self.optimizers,
            self.progress,
            self.recipe.model_dump_json(),
        )
        line = {
            "step": self.progress.step,
            "seconds": round(self.progress.seconds, 1),
            "done": round(self.done(), 4),
            "windows_per_s": round(self.progress.windows / max(self.progress.seconds, 1e-9), 1),
            "loss": round(loss, 4),
            "held_out": {name: round(value, 4) for name, value in self.held_out_loss().items()},
        }
        with (self.folder / LOG_NAME).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        logger.info("%s", line)
