"""The tables of docs/models.md: scores in, cells out; a row for each model."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rtsmlm.bench.accuracy.figures import (
    EFFICIENCY,
    JACCARD,
    LATERAL,
    MAD_Z,
    NEAR,
    RMSE,
    STD_Z,
)
from rtsmlm.bench.models import background_scenes as scenes
from rtsmlm.bench.models import box_figures as box
from rtsmlm.bench.models import class_figures as named
from rtsmlm.bench.models.background_sets import BACKGROUNDS, OF_MEDIAN
from rtsmlm.bench.models.class_sets import CLASSES
from rtsmlm.bench.models.colour_sets import COLOURS, OF_COLOUR, RIGHT_COLOUR
from rtsmlm.bench.models.image_figures import CORRELATION, PSNR, SSIM
from rtsmlm.bench.models.image_sets import IMAGES
from rtsmlm.bench.models.list_figures import CORRELATED, GAIN, MS_SSIM, OF_INPUT
from rtsmlm.bench.models.list_sets import LISTS
from rtsmlm.bench.models.results import ModelFacts, Results, Score, text
from rtsmlm.bench.models.row_figures import (
    AXIAL_RMSE,
    BIAS_X,
    BIAS_Y,
    BIAS_Z,
    EFFICIENCY_3D,
    IN_Z,
    PHOTONS_RATIO,
    PRECISION,
    RECALL,
)
from rtsmlm.bench.models.row_sets import ALONE, DEPTH, OWN, PLANE, RECORDED, REDRAWN
from rtsmlm.bench.models.speed import FIELDS, FIT_ENGINE, SIDES_PX, SPOTS, frames_at
from rtsmlm.bench.models.systems import NOT_YET, SYSTEMS, models_of
from rtsmlm.bench.speed.page import Table

MIDDLE_PLANE, MIDDLE_DEPTH = "1 per µm²", "0.5 per µm²"
"""Conditions whose figures are shown in full."""
HONESTY = (STD_Z, MAD_Z, STD_Z + IN_Z, MAD_Z + IN_Z)


def system_table(results: Results) -> Table:
    """Return the twelve systems of the review: claim, ours, why it differs."""
    headings = ["system", "what it does", "the claim", "measured here", "why it differs"]
    rows = []
    for system in SYSTEMS:
        names = models_of(system, results)
        if not names or system.ours is None:
            rows.append([system.name, system.does, system.claim, NOT_YET, ""])
        for name in names:
            if system.ours is not None:
                ours = f"`{name}`: {system.ours(results, name)}"
                rows.append([system.name, system.does, system.claim, ours, system.why])
    return Table("The twelve systems of the review", "", headings, rows)


def tables_of(section: str, results: Results) -> list[Table]:
    """Return the tables of one section; none where nothing was measured."""
    scores = [score for score in results.scores if score.section == section]
    if not scores:
        return []
    if section == PLANE:
        return _plane(scores)
    if section == DEPTH:
        return _depth(scores)
    if section == OWN:
        return [_own(scores)]
    if section == CLASSES:
        return [_classes(scores)]
    if section == BACKGROUNDS:
        return [_backgrounds(scores)]
    if section == COLOURS:
        return [_colours(scores)]
    if section == LISTS:
        return [_lists(scores)]
    return [_images(scores)] if section == IMAGES else [_boxes(scores)]


def _plane(scores: Sequence[Score]) -> list[Table]:
    simulated = [s for s in scores if not s.condition.startswith((RECORDED, REDRAWN))]
    others = [s for s in scores if s.condition.startswith((RECORDED, REDRAWN))]
    found = [
        _crossed(
            "Crowds: Jaccard index · lateral RMSE in nm", simulated, (JACCARD, RMSE), EFFICIENCY
        )
    ]
    if others:
        title = "Data of others: Jaccard index · lateral RMSE in nm"
        found.append(_crossed(title, others, (JACCARD, RMSE), EFFICIENCY))
    crowd = (RECALL, PRECISION, JACCARD + NEAR, EFFICIENCY, BIAS_X, BIAS_Y, PHOTONS_RATIO)
    found += _in_full(simulated, MIDDLE_PLANE, (*crowd, STD_Z, MAD_Z))
    alone = (JACCARD, RMSE, LATERAL, BIAS_X, BIAS_Y, PHOTONS_RATIO)
    return found + _in_full(simulated, ALONE, (*alone, STD_Z, MAD_Z))


def _depth(scores: Sequence[Score]) -> list[Table]:
    three = (JACCARD, RMSE, AXIAL_RMSE)
    title = "Jaccard index · lateral · axial RMSE in nm"
    found = [
        _crossed(title, scores, three, EFFICIENCY_3D),
        _crossed("Efficiency of the challenge, 3D", scores, (EFFICIENCY_3D,), EFFICIENCY_3D),
    ]
    figures = (RECALL, PRECISION, BIAS_X, BIAS_Y, BIAS_Z, PHOTONS_RATIO)
    return found + _in_full(scores, MIDDLE_DEPTH, (*figures, *HONESTY))


def _in_full(scores: Sequence[Score], condition: str, figures: Sequence[str]) -> list[Table]:
    """Return all figures of one condition; nothing where it was not measured."""
    chosen = [score for score in scores if score.condition == condition]
    return [_listed(f"In full: {condition}", chosen, figures)] if chosen else []


def _own(scores: Sequence[Score]) -> Table:
    figures = (JACCARD, RMSE, AXIAL_RMSE, EFFICIENCY_3D, BIAS_Z, PHOTONS_RATIO, *HONESTY)
    return _listed("Sparse and dense", scores, figures, with_condition=True)


def _images(scores: Sequence[Score]) -> Table:
    figures = (CORRELATION, SSIM, PSNR, JACCARD, JACCARD + NEAR, RMSE)
    return _listed("Images", scores, figures, with_condition=True)


def _lists(scores: Sequence[Score]) -> Table:
    figures = (MS_SSIM, MS_SSIM + OF_INPUT, GAIN, CORRELATED)
    return _listed("Images of few localizations", scores, figures, with_condition=True)


def _boxes(scores: Sequence[Score]) -> Table:
    headings = ["boxes", "model", "answered, %", "x, y", "z", "photons", "background"]
    headings += ["Zernikes", "orientation", "bias z, nm", "x, y: error / stated"]
    headings += ["z: error / stated"]
    rows = []
    for score in scores:
        f = score.figures
        rows.append([
            score.condition, score.model, _cell(f.get(box.ANSWERED)),
            _over_bound(f, box.LATERAL, "nm"), _over_bound(f, box.AXIAL, "nm"),
            _over_bound(f, box.LIGHT, "%"), _over_bound(f, box.LEVEL, "%"),
            _over_bound(f, box.ZERNIKES, "nm"),
            _cell(f.get(box.TURN), " degrees"), _cell(f.get(box.AXIAL_BIAS)),
            _pair(f.get(STD_Z), f.get(MAD_Z)), _pair(f.get(STD_Z + IN_Z), f.get(MAD_Z + IN_Z)),
        ])  # fmt: skip
    return Table("Errors, and how many times the bound they are", "", *_used(headings, rows))


def _classes(scores: Sequence[Score]) -> Table:
    ways = ("", named.CENTROID, named.WHOLE)
    right, wrong, used = (
        [name + way for way in ways] for name in (named.RIGHT, named.WRONG_SURE, named.USE)
    )
    figures = (named.RIGHT, named.ALLOWED, named.KNOWN, *right[1:], *wrong, *used)
    more = (named.HONEST, named.DEPTH, named.DEPTH_BOUND)
    return _listed("Dyes", scores, (*figures, *more), with_condition=True)


def _backgrounds(scores: Sequence[Score]) -> Table:
    figures = (
        scenes.LEVEL_RMSE, scenes.BIAS, scenes.PRECISION, scenes.PRECISION_BOUND,
        scenes.RMSE_BOUND, scenes.LIGHT_BIAS, scenes.LIGHT_SPREAD, scenes.CONVERGED,
    )  # fmt: skip
    rows = []
    for score in scores:
        ways = [(score.model, "")]
        if scenes.BIAS + OF_MEDIAN in score.figures:
            ways = [(f"{score.model}, flat", ""), (f"{score.model}, median", OF_MEDIAN)]
        for name, suffix in ways:
            cells = [_cell(score.figures.get(figure + suffix)) for figure in figures]
            rows.append([score.condition, name, *cells])
    headings = ["background", "stated by", *figures]
    return Table("The fit on what is stated of the background", "", *_used(headings, rows))


def _colours(scores: Sequence[Score]) -> Table:
    of_each = [name for score in scores for name in score.figures if name.startswith(OF_COLOUR)]
    figures = (JACCARD, RIGHT_COLOUR, *dict.fromkeys(of_each), RMSE)
    return _listed("Colours", scores, figures, with_condition=True)


def speed_table(results: Results) -> Table:
    """Return size and speed of all models, on each engine that was there."""
    engines = [e for e in dict.fromkeys(s.engine for s in results.speeds) if e != FIT_ENGINE]
    units = [*(frames_at(side) for side in SIDES_PX), SPOTS, FIELDS]
    found = {(s.model, s.what, s.engine): s.per_s for s in results.speeds}

    def cell(model: str, unit: str) -> str:
        if (model, unit, FIT_ENGINE) in found:
            return text(found[model, unit, FIT_ENGINE])
        rates = [found.get((model, unit, engine)) for engine in engines]
        return " · ".join("-" if r is None else text(r) for r in rates) if any(rates) else ""

    headings = ["model", "does", "size", "parameters", "kMAC per pixel"]
    headings += [f"{unit}: {' · '.join(engines)}" for unit in units]
    rows = [
        [m.name, m.task, m.size, *_amounts(m), *(cell(m.name, unit) for unit in units)]
        for m in results.models
    ]
    return Table("Size and speed", "", *_used(headings, rows))


def _amounts(model: ModelFacts) -> list[str]:
    if model.parameters is None or model.kmac_per_px is None:
        return ["", ""]
    return [f"{model.parameters:,}", text(model.kmac_per_px)]


def _crossed(title: str, scores: Sequence[Score], figures: Sequence[str], rank: str) -> Table:
    """Return models against conditions, some figures in each cell; bold is best by `rank`."""
    conditions = list(dict.fromkeys(score.condition for score in scores))
    cells = {(s.model, s.condition): _joined(s, figures) for s in scores}
    for condition, model in _best(scores, rank).items():
        cells[model, condition] = f"**{cells[model, condition]}**"
    rows = [
        [model, *(cells.get((model, condition), "") for condition in conditions)]
        for model in dict.fromkeys(score.model for score in scores)
    ]
    return Table(title, "", ["model", *conditions], rows)


def _best(scores: Sequence[Score], figure: str) -> dict[str, str]:
    """Return the model that is highest in a figure, by condition."""
    best: dict[str, Score] = {}
    for score in scores:
        there = best.setdefault(score.condition, score)
        if _rank(score, figure) > _rank(there, figure):
            best[score.condition] = score
    return {condition: score.model for condition, score in best.items()}


def _rank(score: Score, figure: str) -> float:
    value = score.figures.get(figure)
    return -math.inf if value is None else value


def _listed(
    title: str, scores: Sequence[Score], figures: Sequence[str], *, with_condition: bool = False
) -> Table:
    """Return a row for each score, a figure in each column."""
    headings = ["set"] * with_condition + ["model", *figures]
    rows = [
        [score.condition] * with_condition
        + [score.model, *(_cell(score.figures.get(figure)) for figure in figures)]
        for score in scores
    ]
    return Table(title, "", *_used(headings, rows))


def _used(headings: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return a table without the columns that are empty, and without what repeats in the first."""
    kept = [k for k in range(len(headings)) if any(row[k] for row in rows)]
    shown = [[row[k] for k in kept] for row in rows]
    firsts = [row[0] for row in shown]
    for row, first, before in zip(shown, firsts, ["", *firsts], strict=False):
        row[0] = "" if first == before else first
    return [headings[k] for k in kept], shown


def _cell(value: float | None, unit: str = "") -> str:
    """Return a figure with three digits, and at most two of them behind the point."""
    if value is None:
        return ""
    if abs(value) < 0.005:
        return "0" + unit
    return (text(value) if abs(value) >= 1.0 else f"{value:.2f}".rstrip("0").rstrip(".")) + unit


def _pair(first: float | None, second: float | None) -> str:
    return "" if first is None or second is None else f"{text(first, 2)} ({text(second, 2)})"


def _joined(score: Score, figures: Sequence[str]) -> str:
    values = [score.figures.get(figure) for figure in figures]
    return " · ".join("-" if value is None else text(value, 2) for value in values)


def _over_bound(figures: dict[str, float | None], name: str, unit: str) -> str:
    value, ratio = figures.get(name), figures.get(name + box.BOUND)
    if value is None:
        return ""
    return f"{text(value)} {unit}" + ("" if ratio is None else f", {text(ratio)} x")
