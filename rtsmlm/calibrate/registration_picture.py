"""A picture of a registration as SVG text: where each bead is, and where the others put it."""

from __future__ import annotations

from html import escape

import numpy as np

from rtsmlm.calibrate.registration import Registration
from rtsmlm.physics.transforms import F64
from rtsmlm.physics.views import View

SIDE, GAP, TOP = 380, 60, 60
ARROW = 30.0
"""Length of a typical arrow."""
USED, LEFT_OUT, FRAME = "#0072b2", "#d55e00", "#333333"


def registration_picture(found: Registration, first: View, pixel_nm: float) -> str:
    """Return beads with their deviations over the first view, and the deviations by themselves.

    Parameters
    ----------
    found
        A view on the first.
    first
        The first view.
    pixel_nm
        Camera pixel in the sample plane.
    """
    residual_nm = found.residual_nm(pixel_nm)
    title = (
        f"{found.view.name} on {first.name}: {residual_nm:.1f} nm rms, "
        f"{int(found.used.sum())} beads, each left out in turn"
    )
    width, height = 2 * SIDE + 3 * GAP, SIDE + TOP + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{GAP}" y="28" font-size="15">{escape(title)}</text>',
        *_field(found, first, pixel_nm),
        *_scatter(found, pixel_nm, residual_nm),
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _field(found: Registration, first: View, pixel_nm: float) -> list[str]:
    height, width = first.shape
    scale = SIDE / max(height, width)
    typical_px = float(np.median(np.hypot(*found.left_out_px[found.used].T)))
    magnified = ARROW / max(typical_px * scale, 1e-9)
    parts = [
        f'<rect x="{GAP}" y="{TOP}" width="{width * scale:.1f}" height="{height * scale:.1f}" '
        f'fill="none" stroke="{FRAME}"/>',
        f'<text x="{GAP}" y="{TOP + SIDE + 24}">{escape(first.name)}, deviations drawn '
        f"{magnified:.0f} times as long</text>",
        f'<text x="{GAP}" y="{TOP + SIDE + 42}">an arrow of {ARROW:.0f} is '
        f"{typical_px * pixel_nm:.1f} nm</text>",
    ]
    for place, off, used in zip(found.first_px, found.left_out_px, found.used, strict=True):
        x, y = GAP + (place[0] + 0.5) * scale, TOP + (place[1] + 0.5) * scale
        color = USED if used else LEFT_OUT
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{color}"/>')
        if used:
            dx, dy = off * scale * magnified
            parts.append(
                f'<path d="M{x:.1f} {y:.1f}l{dx:.1f} {dy:.1f}" stroke="{color}" '
                'stroke-width="1.5"/>'
            )
    return parts


def _scatter(found: Registration, pixel_nm: float, residual_nm: float) -> list[str]:
    off_nm: F64 = found.left_out_px[found.used] * pixel_nm
    reach_nm = max(1.1 * float(np.abs(off_nm).max()), 1e-6)
    left = 2 * GAP + SIDE
    middle_x, middle_y = left + SIDE / 2, TOP + SIDE / 2
    scale = SIDE / 2 / reach_nm
    parts = [
        f'<rect x="{left}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="{FRAME}"/>',
        f'<path d="M{left} {middle_y}h{SIDE}M{middle_x} {TOP}v{SIDE}" stroke="#bbbbbb"/>',
        f'<circle cx="{middle_x}" cy="{middle_y}" r="{residual_nm * scale:.1f}" fill="none" '
        f'stroke="{FRAME}" stroke-dasharray="4 3"/>',
        f'<text x="{left}" y="{TOP + SIDE + 24}">deviations, sides of {2 * reach_nm:.1f} nm; '
        f"dashed: {residual_nm:.1f} nm rms</text>",
    ]
    parts += [
        f'<circle cx="{middle_x + dx * scale:.1f}" cy="{middle_y + dy * scale:.1f}" r="3" '
        f'fill="{USED}" opacity="0.6"/>'
        for dx, dy in off_nm
    ]
    return parts
