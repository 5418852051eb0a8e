"""The methods text of a run, of what was really used, with the works that it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from rtsmlm.errors import RtsmlmError
from rtsmlm.files.run.charts import figure
from rtsmlm.models.catalog import manifest_if_model
from rtsmlm.offline.report.gathered import Gathered
from rtsmlm.offline.report.sources import Citations
from rtsmlm.offline.report.summary import TableSummary, median_of

_FITS = {
    "gaussian-mle": (
        "fitting a Gaussian to each spot by maximum likelihood",
        ("mle", "scmos"),
    ),
    "astigmatic-mle": (
        "fitting an astigmatic Gaussian, whose two widths give the depth, to each spot by maximum "
        "likelihood",
        ("mle", "scmos", "astigmatism"),
    ),
    "spline-mle": (
        "fitting the image of beads at each depth, as cubic splines, to each spot by maximum "
        "likelihood",
        ("mle", "scmos", "splines"),
    ),
    "elliptical-lsq": (
        "fitting an elliptical Gaussian to each spot by least squares",
        ("bound",),
    ),
}
_DRIFT_METHODS = {
    "aim": "aim",
    "intersection": "aim",
    "rcc": "rcc",
    "redundant": "rcc",
    "comet": "comet",
}


def methods_section(run: Gathered, ledger: Mapping[str, object], table: TableSummary) -> str:
    """Return the text and its list of sources, as HTML.

    Parameters
    ----------
    run
        What the files of the run say.
    ledger
        Counts of the run, by the names of `LedgerTotals`, and its `localizers`.
    table
        What is known of the localizations.
    """
    version = str(run.part("run", "versions").get("rtsmlm", ""))
    sources = Citations(version)
    sentences = [
        *_camera(run, ledger, sources),
        *_localizers(run, ledger, sources),
        *_laser(run),
        *_drift(run, sources),
        *_quality(table, sources),
    ]
    text = " ".join(sentences)
    lead = "<p class='hint'>To copy into a manuscript; it says what was used, and nothing else.</p>"
    return f"{lead}<p>{escape(text)}</p><h3>Please cite</h3>{sources.as_list()}"


def _camera(run: Gathered, ledger: Mapping[str, object], sources: Citations) -> list[str]:
    frames = ledger.get("received")
    n_frames = f"{figure(frames)} frames" if isinstance(frames, int) and frames else "Frames"
    sentences = []
    if "movie" in run.part("run"):
        sentences.append(
            f"{n_frames} of a recorded movie were analysed with rtsmlm{sources.own()}."
        )
    else:
        exposure_ms = run.number("acquisition", "exposure_ms")
        timing = f" of {exposure_ms:g} ms" if math.isfinite(exposure_ms) else ""
        camera = run.part("run", "camera").get("name")
        with_what = f" with {camera}" if camera else ""
        is_core = run.part("camera").get("driver") == "micromanager"
        control = f", controlled by Micro-Manager{sources.cite('micromanager')}" if is_core else ""
        sentences.append(f"{n_frames}{timing} were recorded{with_what}{control}.")
        sentences.append(
            f"They were localized while the recording went on, with rtsmlm{sources.own()}."
        )
        if run.part("record").get("raw") and ledger.get("recorded"):
            sentences.append(f"Raw frames were kept as OME-Zarr{sources.cite('omezarr')}.")
    facts = [
        (f"{run.number('camera', 'pixel_nm'):g} nm pixels in the sample", "pixel_nm"),
        (f"an offset of {run.number('camera', 'offset_adu'):.4g} ADU", "offset_adu"),
        (f"{run.number('camera', 'e_per_adu'):.3g} electrons per ADU", "e_per_adu"),
        (f"a read noise of {run.number('camera', 'read_noise_e'):.3g} electrons", "read_noise_e"),
    ]
    known = [text for text, name in facts if math.isfinite(run.number("camera", name))]
    em_gain = run.number("camera", "em_gain")
    if math.isfinite(em_gain) and em_gain > 1:
        known.append(f"an EM gain of {em_gain:g}")
    if known:
        with_maps = any(isinstance(value, str) for value in run.part("camera", "maps").values())
        maps = f", with maps of every pixel{sources.cite('scmos')}" if with_maps else ""
        sentences.append(f"Pixel values were converted to photons with {_joined(known)}{maps}.")
    return sentences


def _localizers(run: Gathered, ledger: Mapping[str, object], sources: Citations) -> list[str]:
    noted = ledger.get("localizers")
    entries = [n for n in noted if isinstance(n, Mapping)] if isinstance(noted, list) else []
    names = list(dict.fromkeys(_name_of(n) for n in entries))
    if not names or names == [""]:
        names = [str(run.part("localizer").get("name", ""))]
    sigma_nm = run.number("psf", "sigma_nm")
    for entry in entries:
        value = entry.get("psf_sigma_nm")
        sigma_nm = float(value) if isinstance(value, int | float) else sigma_nm
    psf = f" (PSF of {sigma_nm:.0f} nm standard deviation)" if math.isfinite(sigma_nm) else ""
    sentences = [
        f"Emitters were localized by {_what(name, sources)}{psf}." for name in names if name
    ]
    labels = " ".join(str(entry.get("label", "")) for entry in entries)
    if "after a fit" in labels:
        sentences.append(
            "Lone emitters were fitted by maximum likelihood"
            f"{sources.cite('mle', 'scmos')}, and the network saw what such a fit did not explain."
        )
    is_network = any(name not in _FITS for name in names)
    if is_network and run.part("localizer").get("refine") and _is_flagship(names):
        sentences.append(
            f"Emitters that overlap were then fitted together{sources.cite('groups')}."
        )
    colour = run.part("localizer").get("colour")
    if isinstance(colour, str) and colour:
        sentences.append(f"Dyes were told apart by {_what(colour, sources)}.")
    background = run.part("localizer").get("background")
    if isinstance(background, str) and background:
        sentences.append(f"The background was estimated by {_what(background, sources)}.")
    images = run.part("results").get("image_models")
    if isinstance(images, list) and images:
        shown = _joined([_what(str(name), sources) for name in images])
        sentences.append(f"Further images were predicted, not measured, by {shown}.")
    return sentences


def _name_of(entry: Mapping[str, object]) -> str:
    """Return which localizer was noted; what `auto` chose stands in the label first."""
    name = str(entry.get("name", ""))
    return name if name != "auto" else str(entry.get("label", "")).partition(",")[0].strip()


def _is_flagship(names: Sequence[str]) -> bool:
    return any(name.startswith(("flagship", "auto")) for name in names)


def _what(name: str, sources: Citations) -> str:
    """Return what a localizer or model is, with its sources."""
    if name in _FITS:
        text, works = _FITS[name]
        return f"{text}{sources.cite(*works)}"
    try:
        manifest = manifest_if_model(name)
    except (RtsmlmError, OSError, ValueError):
        manifest = None
    if manifest is None:
        return name
    cited = sources.cite(manifest.architecture)
    return f"the neural network {manifest.name} (version {manifest.version}){cited}"


def _laser(run: Gathered) -> list[str]:
    feedback = run.part("feedback")
    if not (feedback.get("arm") and feedback.get("laser")):
        return []
    target = feedback.get("target_per_um2")
    wanted = f" to hold {target:g} emitters per frame and µm²" if isinstance(target, float) else ""
    return [f"The power of the activation laser {feedback['laser']} was steered{wanted}."]


def _drift(run: Gathered, sources: Citations) -> list[str]:
    if run.drift is None:
        return ["Drift was not corrected."]
    stated = run.statistics.get("drift")
    method = str(stated.get("method", "")) if isinstance(stated, Mapping) else ""
    works = [work for word, work in _DRIFT_METHODS.items() if word in method.lower()]
    how = f" by {method}" if method else ""
    is_off = not isinstance(stated, Mapping) or stated.get("taken_off", True)
    end = "and taken off" if is_off else "and not taken off"
    cited = sources.cite(*dict.fromkeys(works))
    return [f"Drift was measured on the localizations{how}{cited} {end}."]


def _quality(table: TableSummary, sources: Citations) -> list[str]:
    sentences = []
    precision_nm = median_of(table.precision, table.PRECISION_EDGES_NM)
    if math.isfinite(precision_nm):
        sentences.append(
            f"The median of the stated precision is {precision_nm:.1f} nm per axis"
            f"{sources.cite('bound')}."
        )
    if math.isfinite(table.nena_nm):
        sentences.append(
            f"Repeated localizations of single emitters scatter by {table.nena_nm:.1f} nm "
            f"(NeNA){sources.cite('nena')}."
        )
    if math.isfinite(table.resolution_nm):
        sentences.append(
            f"The resolution by Fourier ring correlation is {table.resolution_nm:.0f} nm"
            f"{sources.cite('frc')}."
        )
    sentences.append(
        "In the image every localization is a Gaussian of its stated precision that adds up to 1."
    )
    return sentences


def _joined(parts: Sequence[str]) -> str:
    """Return a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
