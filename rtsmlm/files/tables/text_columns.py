"""Names of columns in text tables of all programs, and the units that they are in.

One name in many spellings: `x [nm]`, `x (µm)`, `x_nm`, `xnm`, `xnano`, `Position X [nm]`.
A name is cut into what it is and its unit, and the table below says which of our columns it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NM_PER_UNIT = {
    "nm": 1.0, "nanometer": 1.0, "nanometers": 1.0, "nanometre": 1.0, "nano": 1.0,
    "um": 1000.0, "micron": 1000.0, "microns": 1000.0, "micrometer": 1000.0, "micrometers": 1000.0,
    "micrometre": 1000.0, "mm": 1e6, "m": 1e9, "meter": 1e9, "a": 0.1, "angstrom": 0.1,
}  # fmt: skip
PIXEL_UNITS = ("px", "pix", "pixel", "pixels", "camera pixel")
PHOTON_UNITS = ("", "photon", "photons", "ph", "e", "e-", "electron", "electrons", "count_photons")

LENGTHS = ("x_nm", "y_nm", "z_nm", "std_x_nm", "std_y_nm", "std_z_nm")
LIGHT = ("photons", "background", "std_photons")

_BASES: dict[str, tuple[str, ...]] = {
    "frame": ("frame", "frame_ix", "frame_number", "frame_index", "frame_no", "frames",
              "first_frame", "framenumber", "image_number", "imagenumber", "imagenumber_0_0",
              "frame_id", "image_id", "imageid", "slice", "t", "time_frame"),
    "x_nm": ("x", "position_x", "x_position", "pos_x", "x_coordinate", "position_0_0"),
    "y_nm": ("y", "position_y", "y_position", "pos_y", "y_coordinate", "position_1_0"),
    "z_nm": ("z", "position_z", "z_position", "pos_z", "z_coordinate", "position_2_0"),
    "photons": ("photons", "photon", "phot", "intensity", "nphotons", "n_photons",
                "number_photons", "number_of_photons", "photon_count", "6_n_photons",
                "amplitude_0_0"),
    "background": ("background", "bg", "offset", "bkg", "localbackground_0_0",
                   "local_background"),
    "std_x_nm": ("std_x", "uncertainty_x", "x_uncertainty", "x_sig", "x_err", "xerr", "lpx",
                 "x_precision", "precision_x", "sigma_x_pos", "position_0_0_uncertainty",
                 "uncertainty_xy", "xy_err", "locprec", "lp", "uncertainty", "precision",
                 "xy_precision", "localization_precision"),
    "std_y_nm": ("std_y", "uncertainty_y", "y_uncertainty", "y_sig", "y_err", "yerr", "lpy",
                 "y_precision", "precision_y", "sigma_y_pos", "position_1_0_uncertainty",
                 "uncertainty_xy", "xy_err", "locprec", "lp", "uncertainty", "precision",
                 "xy_precision", "localization_precision"),
    "std_z_nm": ("std_z", "uncertainty_z", "z_uncertainty", "z_sig", "z_err", "zerr", "lpz",
                 "locprecz", "z_precision", "precision_z", "position_2_0_uncertainty"),
    "std_photons": ("std_photons", "uncertainty_intensity", "phot_sig", "photon_sig", "photerr",
                    "photons_err", "phot_err"),
    "probability": ("probability", "prob"),
    "channel": ("channel",),
}  # fmt: skip
"""Names of each of our columns, without units; the first that is present counts."""

_NOT_NEEDED = (
    "id", "index", "no", "emitter", "identifier", "ground_truth", "unnamed_0", "filenumber",
    "sigma", "sigma1", "sigma2", "sx", "sy", "psfx", "psfy", "psf_sigma_x", "psf_sigma_y",
    "bkgstd", "bkgsd", "chi2", "detections", "llrel", "logl", "logl_rel", "loglikelihood",
    "iterations", "ellipticity", "net_gradient", "likelihood", "group", "x_cr", "y_cr", "z_cr",
    "phot_cr", "bg_cr", "bg_sig", "layer", "xoffset", "yoffset", "x_offset", "y_offset",
    "sigma_y", "sigma_x", "psf_width", "chi_square", "background_variance", "snr",
    "len", "n", "photon_rate", "d_zcalib", "cx", "cy", "dark", "group_input",
    "fitresidues_0_0", "twokernelimprovement_0_0", "intensity_sum", "crlb_x", "crlb_y",
)  # fmt: skip
"""Known columns that rtsmlm has no use for, and does not name one by one."""

_WIDTHS = ("sigma", "psf")
"""How names of widths of spots begin, in whichever plane or by whichever fit."""

_UNIT = re.compile(r"(.*?)\s*[\[(]\s*([^\])]*?)\s*[\])]\s*")
_SUFFIX = re.compile(r"(.+?)[_ ](nm|um|px|pix|pixels?)")
_GLUED = re.compile(r"(x|y|z|locprec|locprecz|psfx|psfy)(nm|nano|pix|px)(err)?")


@dataclass(frozen=True, slots=True)
class ColumnName:
    """A name of a foreign column, cut in two."""

    base: str
    """In small letters, words joined by `_`."""
    unit: str
    """In small letters, `um` for a micrometre; empty where none is stated."""


def cut_name(name: str) -> ColumnName:
    """Return what a column name says, as base and unit."""
    # In UTF-8 read as a Western encoding, and where an encoding was lost, µ has become these.
    plain = re.sub("\u00c2?[\u00b5\u03bc\ufffd](?=m)", "u", name)
    plain = unicodedata.normalize("NFKC", plain).strip().strip("\"'").strip().lower()
    unit = ""
    if found := _UNIT.fullmatch(plain) or _SUFFIX.fullmatch(plain):
        plain, unit = found[1], found[2]
    elif found := _GLUED.fullmatch(plain):
        plain, unit = found[1] + ("_err" if found[3] else ""), found[2]
    base = re.sub(r"[\s\-.]+", "_", plain.strip()).strip("_")
    return ColumnName(base, unit.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundColumns:
    """Which column of a file is which of ours."""

    position: Mapping[str, int]
    """By our names."""
    unit: Mapping[str, str]
    """By our names; empty where the file states none."""
    unused: tuple[str, ...]
    """Names, as in the file, of columns that nothing is known about, or whose unit is of no use."""


def find_columns(names: Sequence[str]) -> FoundColumns:
    """Return what the columns of a file are.

    Parameters
    ----------
    names
        As in the file.
    """
    cut = [cut_name(name) for name in names]
    position: dict[str, int] = {}
    for ours, bases in _BASES.items():
        place = _first(cut, bases, ours)
        if place is not None:
            position[ours] = place
    taken = set(position.values())
    unused = [
        name.strip()
        for k, name in enumerate(names)
        if k not in taken and name.strip() and not is_not_needed(name)
        and not _is_known_length(cut[k], position)
    ]  # fmt: skip
    return FoundColumns(
        position=position,
        unit={ours: cut[k].unit for ours, k in position.items()},
        unused=tuple(unused),
    )


def is_not_needed(name: str) -> bool:
    """Tell whether a column is known, and of no use here."""
    base = cut_name(name).base
    return base in _NOT_NEEDED or base.startswith(_WIDTHS)


def _first(cut: Sequence[ColumnName], bases: Sequence[str], ours: str) -> int | None:
    """Return the position of the best column for one of ours; lengths in nm before those in px."""
    for base in bases:
        places = [k for k, name in enumerate(cut) if name.base == base and _is_of(name.unit, ours)]
        if places:
            return min(places, key=lambda k: (cut[k].unit in PIXEL_UNITS, k))
    return None


def _is_of(unit: str, ours: str) -> bool:
    """Tell whether a column of this unit can be one of ours."""
    if ours in LENGTHS:
        return not unit or unit in NM_PER_UNIT or unit in PIXEL_UNITS
    if ours in LIGHT:
        return unit in PHOTON_UNITS
    return True


def _is_known_length(name: ColumnName, position: Mapping[str, int]) -> bool:
    """Tell whether a column repeats a length that was found, in another unit or for both axes."""
    repeats = [ours for ours in LENGTHS if name.base in _BASES[ours]]
    return bool(repeats) and _is_of(name.unit, "x_nm") and all(o in position for o in repeats)
