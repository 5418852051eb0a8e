"""The sections of the report on what became of the frames, by whom, and how; each as HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from rtsmlm.files.movies.account import MovieAccount
from rtsmlm.files.run.charts import table_of
from rtsmlm.files.run.pages import PERCENTILES, note, time_text
from rtsmlm.fitting.frame_counts import FrameCounts
from rtsmlm.offline.report.gathered import Gathered
from rtsmlm.offline.report.plots import share_bar
from rtsmlm.offline.report.style import hint, wide

_MOST_RANGES = 12

_TOTALS = {
    "camera": "numbered by the camera",
    "received": "received",
    "recorded": "recorded",
    "localized": "localized",
    "caught_up": "of them after the run",
    "skipped": "skipped",
    "lost": "lost",
}
_RARE_TOTALS = {
    "other_size": "received but of another size",
    "renumbered": "renumbered",
    "lost_in_cut": "lost in the cut",
    "in_ring": "in the ring when it was last counted",
}
"""Shown where they are not 0."""
_COUNTS = {
    "saturated_pixels": "saturated pixels, over all frames",
    "saturated_frames": "with saturated pixels",
    "constant_frames": "of one value",
    "repeated_frames": "equal to the one before",
}
"""Shown where they are not 0."""


def frames(ledger: Mapping[str, object], counts: FrameCounts | None) -> str:
    """Return what became of every frame."""
    totals = [(label, ledger[name]) for name, label in _TOTALS.items() if name in ledger]
    totals += [(label, ledger[name]) for name, label in _RARE_TOTALS.items() if ledger.get(name)]
    totals += [(label, n) for name, label in _COUNTS.items() if (n := getattr(counts, name, 0))]

    if not totals:
        return ""

    def n_of(name: str) -> int:
        value = ledger.get(name)
        return value if isinstance(value, int) else 0

    bar = share_bar(
        "of all frames that the camera numbered",
        (
            ("s0", "localized", n_of("localized")),
            ("s3", "skipped", n_of("skipped")),
            ("s1", "lost", n_of("lost") + n_of("lost_in_cut")),
        ),
    )
    words = hint("Received = localized + skipped; lost frames never reached rtsmlm.")
    listed = _ranges(ledger)
    return words + bar + wide(table_of(("", "frames"), totals)) + listed


def _ranges(ledger: Mapping[str, object]) -> str:
    """Return the numbers of the frames that are missing, as far as they are listed."""
    ranges, rows = ledger.get("ranges"), []
    if not isinstance(ranges, Mapping):
        return ""
    for name in ("lost", "skipped", "lost_in_cut"):
        pairs = ranges.get(name)
        if not isinstance(pairs, list) or not pairs:
            continue
        texts = [
            str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}–{pair[1]}"
            for pair in pairs[:_MOST_RANGES]
            if isinstance(pair, list) and len(pair) == 2
        ]
        more = f", and {len(pairs) - _MOST_RANGES} more" if len(pairs) > _MOST_RANGES else ""
        rows.append((name.replace("_", " "), ", ".join(texts) + more))
    return wide(table_of(("frames", "numbers"), rows), "text") if rows else ""


def latency(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    """Return the percentiles of every stage; nothing where frames came from no camera."""
    rows = [
        (name, *(time_text(float(stage[p])) if p in stage else "" for p in PERCENTILES))
        for name, stage in latency_ms.items()
        if isinstance(stage, Mapping)
    ]
    if not rows:
        return ""
    words = hint(
        "From the end of an exposure to the stage named; 99 of 100 frames were not later than p99."
    )
    return words + wide(table_of(("stage", *PERCENTILES), rows))


_VALIDITY = (
    ("verdict", "verdict"),
    ("spots", "spots fitted once more"),
    ("width_ratio", "their width over the PSF in force"),
    ("chi2", "chi² per degree of freedom, width free"),
    ("noise_ratio", "noise of the background over that expected"),
    ("repeat_std", "way between two frames over that stated"),
    ("gridding", "largest unevenness of places within the pixel"),
)


def model(validity: Mapping[str, object]) -> str:
    """Return whether PSF, camera and model fit the data; nothing where it was not looked at."""
    if not validity:
        return ""
    figures = [
        (label, "too little seen" if validity[name] is None else validity[name])
        for name, label in _VALIDITY
        if name in validity
    ]
    remark = f"<p>{escape(str(validity['remark']))}</p>" if validity.get("remark") else ""
    words = hint("Ratios near 1 mean that the data look as the model expects.")
    return remark + words + wide(table_of(("", "figure"), figures))


_LOCALIZER = ("from frame", "localizer", "PSF width", "rate measured before", "camera", "why")


def localizers(ledger: Mapping[str, object]) -> str:
    """Return which localizer was in force from which frame on."""
    noted = ledger.get("localizers")
    rows = (
        [_localizer_row(n) for n in noted if isinstance(n, Mapping)]
        if isinstance(noted, list)
        else []
    )
    return wide(table_of(_LOCALIZER, rows), "text") if rows else ""


def _localizer_row(localizer: Mapping[str, object]) -> tuple[object, ...]:
    def number(key: str, unit: str) -> str:
        value = localizer.get(key)
        return f"{value:.0f} {unit}" if isinstance(value, int | float) else "not known"

    return (
        localizer.get("from_frame", ""),
        localizer.get("label", ""),
        number("psf_sigma_nm", "nm"),
        number("frames_per_s", "frames/s"),
        number("camera_frames_per_s", "frames/s"),
        localizer.get("reason", ""),
    )


def movie(account: MovieAccount | None, described: Mapping[str, object]) -> str:
    """Return the account of the movie that was reconstructed, and what is known of it."""
    text = wide(table_of(("", ""), [(k, str(v)) for k, v in described.items()]), "text")
    if account is None:
        return text if described else ""
    found = [(f"stated by {stated.source}", stated.frames) for stated in account.stated]
    rows = [*found, ("present", account.present), ("read", account.read)]
    fine = "<p>nothing differs, nothing is left out</p>"
    differences = "".join(map(note, account.differences)) or fine
    return wide(table_of(("frames", ""), rows)) + differences + (text if described else "")


def settings(run: Gathered) -> str:
    """Return versions, machine, and the settings in force."""
    versions, machine = run.part("run", "versions"), run.part("run", "machine")
    rows = [(name, str(version)) for name, version in versions.items()]
    rows += [(name, str(value)) for name, value in machine.items()]
    table = wide(table_of(("", ""), rows), "text") if rows else ""
    return (
        f"{table}<details><summary>settings in force (run.toml)</summary>"
        f"<pre>{escape(run.settings_text)}</pre></details>"
    )
