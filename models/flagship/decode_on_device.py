"""Maps to rows where the maps are, so that a GPU sends back localizations and no images.

The same rows as `rtsmlm.models.flagship.slots`, written as whole-array steps of fixed sizes:
nothing depends on how many emitters there are, so that a CUDA graph can hold it.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from rtsmlm.models.flagship.maps import AXIAL_BACKGROUND_CHANNEL, Map
from rtsmlm.models.flagship.maps_on_device import background_of, photons_of, std_of, z_of
from rtsmlm.models.flagship.slots import (
    CROWD_REACH_PX,
    MERGE_REACH_PX,
    MERGE_ROUNDS,
    SHARING_LOGIT,
    SHARING_PX,
)
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row, logit

_EARLIER = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
_LATER = ((0, 1), (1, -1), (1, 0), (1, 1))
_DARK_LOGIT = -12.0


class DeviceDecoder:
    """Finds rows in maps on any device.

    Parameters
    ----------
    settings
        Thresholds.
    shape
        Height and width of the frames without padding, in pixels.
    background_channel
        The channel after those of the slots.
    capacity
        Most rows of a frame.
    """

    def __init__(
        self,
        settings: DecodeSettings,
        shape: tuple[int, int],
        background_channel: int,
        capacity: int,
    ) -> None:
        self._settings = settings
        self._shape = shape
        self._background_channel = background_channel
        self.capacity = capacity

    def __call__(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows, how many of them hold something, and how many were looked for.

        Parameters
        ----------
        maps
            Raw output of the network, (n, channels, rows / 2, columns / 2).

        Returns
        -------
        :
            Rows of `rtsmlm.models.flagship.slots`, (n, capacity, columns); their number in each
            frame, (n,); and that of the candidates, (n,): more than `capacity` means that some
            are missing.
        """
        maps = maps.float()
        logits = functional.pixel_shuffle(maps[:, :4], 2)[:, 0]
        p = torch.where(logits > _DARK_LOGIT, torch.sigmoid(logits), torch.zeros_like(logits))
        near, around = _box_sum(p, 1), _box_sum(p, CROWD_REACH_PX)
        probability = self._probability(logits, p, near)
        chosen = (probability > self._settings.min_probability).flatten(1)
        pixel, found = _compact(chosen, self.capacity)
        there = torch.arange(self.capacity, device=maps.device) < found[:, None]
        rows = self._rows(maps, pixel, probability, (around - near).clamp(min=0.0))
        kept = self._distinct(rows, pixel, there, logits.shape)
        order, counts = _compact(kept, self.capacity)
        rows = rows.gather(1, order[:, :, None].expand(-1, -1, COLUMNS))
        return rows, counts, found

    def _probability(self, logits: Tensor, p: Tensor, near: Tensor) -> Tensor:
        """Return the probability of an emitter in each pixel, 0 where there is no candidate."""
        settings = self._settings
        padded = functional.pad(logits, (1, 1, 1, 1), value=float("-inf"))
        height, width = logits.shape[1:]

        def moved(down: int, right: int) -> Tensor:
            return padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

        highest = torch.ones_like(logits, dtype=torch.bool)
        for step in _EARLIER:
            highest &= logits > moved(*step)
        for step in _LATER:
            highest &= ~(moved(*step) > logits)
        alone = torch.where(logits > logit(settings.split_probability), p, torch.zeros_like(p))
        probability = torch.where(highest, near.clamp(max=1.0), alone)
        candidate = logits > logit(settings.candidate_probability)
        candidate[:, self._shape[0] :] = False
        candidate[:, :, self._shape[1] :] = False
        return torch.where(candidate, probability, torch.zeros_like(probability))

    def _rows(self, maps: Tensor, pixel: Tensor, probability: Tensor, crowd: Tensor) -> Tensor:
        n, _, rows, columns = maps.shape
        y, x = pixel // (2 * columns), pixel % (2 * columns)
        cell = (y // 2) * columns + x // 2
        slot = 2 * (y % 2) + x % 2
        flat = maps.flatten(1)

        def raw(attribute: int) -> Tensor:
            return flat.gather(1, (4 * attribute + slot) * (rows * columns) + cell)

        photons = photons_of(raw(Map.PHOTONS))
        level = flat.gather(1, self._background_channel * (rows * columns) + cell)
        out = torch.zeros((n, self.capacity, COLUMNS), device=maps.device)
        out[:, :, Row.X : Row.Y + 1], out[:, :, Row.STD_X : Row.STD_Y + 1] = self._places(
            flat, y, x, (rows, columns)
        )
        out[:, :, Row.PHOTONS] = photons
        out[:, :, Row.BACKGROUND] = background_of(level)
        out[:, :, Row.STD_PHOTONS] = photons * std_of(raw(Map.STD_PHOTONS))
        out[:, :, Row.PROBABILITY] = probability.flatten(1).gather(1, pixel)
        out[:, :, Row.CROWD] = crowd.flatten(1).gather(1, pixel)
        if self._background_channel == AXIAL_BACKGROUND_CHANNEL:
            out[:, :, Row.Z] = z_of(raw(Map.Z))
            out[:, :, Row.STD_Z] = std_of(raw(Map.STD_Z))
        return out

    def _places(
        self, flat: Tensor, y: Tensor, x: Tensor, cells: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Return places and their standard deviations, (n, capacity, 2): x before y.

        Parameters
        ----------
        flat
            Maps, (n, channels * rows * columns).
        y, x
            Pixels of the candidates, (n, capacity).
        cells
            Rows and columns of the maps.
        """
        rows, columns = cells
        split = logit(self._settings.split_probability)

        def raw(attribute: int, r: Tensor, c: Tensor) -> Tensor:
            channel = 4 * attribute + 2 * (r % 2) + c % 2
            return flat.gather(1, channel * (rows * columns) + (r // 2) * columns + c // 2)

        def stated(r: Tensor, c: Tensor) -> Tensor:
            offset = torch.stack([raw(Map.DX, r, c), raw(Map.DY, r, c)], dim=2)
            return torch.stack([c, r], dim=2) + torch.tanh(offset)

        best = stated(y, x)
        total = torch.zeros_like(best[:, :, :1])
        mean, square = torch.zeros_like(best), torch.zeros_like(best)
        for down, right in product((-1, 0, 1), repeat=2):
            r, c = y + down, x + right
            inside = (r >= 0) & (r < 2 * rows) & (c >= 0) & (c < 2 * columns)
            r, c = r.clamp(0, 2 * rows - 1), c.clamp(0, 2 * columns - 1)
            away = stated(r, c) - best
            value = raw(Map.LOGIT, r, c)
            shares = inside & (away.square().sum(dim=2) <= SHARING_PX * SHARING_PX)
            if (down, right) != (0, 0):
                shares &= (value > SHARING_LOGIT) & ~(value > split)
            weight = torch.where(shares, torch.sigmoid(value), torch.zeros_like(value))[:, :, None]
            std = torch.stack([std_of(raw(m, r, c)) for m in (Map.STD_X, Map.STD_Y)], dim=2)
            total = total + weight
            mean = mean + weight * away
            square = square + weight * (std.square() + away.square())
        mean = mean / total
        own = torch.stack([x, y], dim=2)
        place = (best + mean).maximum(own - 1.0).minimum(own + 1.0)
        return place, torch.sqrt(square / total - mean.square())

    def _distinct(self, rows: Tensor, pixel: Tensor, there: Tensor, shape: torch.Size) -> Tensor:
        """Return which rows stay where several are too close; see `slots`."""
        n, height, width = shape
        merge_px = self._settings.merge_px
        reach = int(merge_px + MERGE_REACH_PX)
        number = torch.arange(self.capacity, device=rows.device).expand(n, -1)
        # The last entry takes what is nowhere.
        nowhere = height * width
        at = torch.full((n, nowhere + 1), -1, dtype=torch.long, device=rows.device)
        at.scatter_(1, torch.where(there, pixel, nowhere), torch.where(there, number, -1))
        y, x = pixel // width, pixel % width
        probability = rows[:, :, Row.PROBABILITY]
        better = []
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                r, c = y + down, x + right
                inside = there & (r >= 0) & (r < height) & (c >= 0) & (c < width)
                other = at.gather(1, torch.where(inside, r * width + c, nowhere))
                valid = (other >= 0) & (other != number)
                other = other.clamp(min=0)
                theirs = rows.gather(1, other[:, :, None].expand(-1, -1, COLUMNS))
                dx = theirs[:, :, Row.X] - rows[:, :, Row.X]
                dy = theirs[:, :, Row.Y] - rows[:, :, Row.Y]
                close = dx * dx + dy * dy < merge_px * merge_px
                p = theirs[:, :, Row.PROBABILITY]
                wins = (p > probability) | ((p == probability) & (other < number))
                # Without a better one it points at itself, which never decides anything.
                better.append(torch.where(valid & close & wins, other, number))
        return _sorted_out(torch.stack(better, 2), there)


def _sorted_out(better: Tensor, there: Tensor) -> Tensor:
    """Return what stays, of rows and the better ones near them, (n, capacity, neighbours)."""
    n, capacity, neighbours = better.shape
    number = torch.arange(capacity, device=better.device)[None, :, None]
    other = better != number
    flat = better.reshape(n, capacity * neighbours)
    kept, dropped = torch.zeros_like(there), ~there
    for _ in range(MERGE_ROUNDS):
        their_kept = kept.gather(1, flat).view_as(better) & other
        their_open = ~(kept | dropped).gather(1, flat).view_as(better) & other
        open_ = ~(kept | dropped)
        beaten = their_kept.any(2)
        dropped = dropped | (open_ & beaten)
        kept = kept | (open_ & ~beaten & ~their_open.any(2))
    return ~dropped


def _box_sum(p: Tensor, reach: int) -> Tensor:
    """Return sums over squares around each pixel, without what lies beyond the edges."""
    side = 2 * reach + 1
    return functional.avg_pool2d(p[:, None], side, stride=1, padding=reach)[:, 0] * side**2


def _compact(chosen: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """Return the places of what is chosen, in order, (n, capacity), and how many there are."""
    n, length = chosen.shape
    rank = torch.cumsum(chosen, 1, dtype=torch.long)
    target = torch.where(chosen & (rank <= capacity), rank - 1, capacity)
    places = torch.zeros((n, capacity + 1), dtype=torch.long, device=chosen.device)
    places.scatter_(1, target, torch.arange(length, device=chosen.device).expand(n, -1))
    return places[:, :capacity], rank[:, -1]
