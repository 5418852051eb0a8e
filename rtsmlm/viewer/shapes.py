"""Shapes that measure: lines and regions, their handles, and how they move; no Qt."""

from __future__ import annotations

from typing import Literal, TypeAlias

from rtsmlm.analysis.profile import Line
from rtsmlm.analysis.region import Ellipse, Polygon, Rectangle

Tool: TypeAlias = Literal["pan", "distance", "profile", "rectangle", "ellipse", "polygon"]
Shape: TypeAlias = Line | Rectangle | Ellipse | Polygon
Point: TypeAlias = tuple[float, float]

LEAST_POINTS = 3
"""Of a polygon."""

_KINDS: dict[Tool, type[Line] | type[Rectangle] | type[Ellipse]] = {
    "distance": Line, "profile": Line, "rectangle": Rectangle, "ellipse": Ellipse,
}  # fmt: skip


def begun(tool: Tool, at: Point) -> Shape:
    """Return the shape that a tool begins at a place, all of it in one point."""
    kind = _KINDS.get(tool)
    return Polygon((at,)) if kind is None else kind(*at, *at)


def stretched(shape: Shape, to: Point) -> Shape:
    """Return a shape that was begun, with its other end at a place; a polygon gets one point."""
    if isinstance(shape, Polygon):
        return Polygon((*shape.points_nm, to))
    return type(shape)(shape.x0_nm, shape.y0_nm, *to)


def handles(shape: Shape) -> list[Point]:
    """Return the points that can be dragged: both ends, four corners, or all points, in nm."""
    if isinstance(shape, Polygon):
        return list(shape.points_nm)
    if isinstance(shape, Line):
        return [(shape.x0_nm, shape.y0_nm), (shape.x1_nm, shape.y1_nm)]
    left, top, right, bottom = shape.box_nm
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def with_handle(shape: Shape, k: int, to: Point) -> Shape:
    """Return a shape with one handle at another place; of a box the opposite corner stays."""
    points = handles(shape)
    if isinstance(shape, Polygon):
        points[k] = to
        return Polygon(tuple(points))
    if isinstance(shape, Line):
        points[k] = to
        return Line(*points[0], *points[1])
    return type(shape)(*to, *points[(k + 2) % 4])


def moved(shape: Shape, dx_nm: float, dy_nm: float) -> Shape:
    """Return a shape at another place."""
    if isinstance(shape, Polygon):
        return Polygon(tuple((x + dx_nm, y + dy_nm) for x, y in shape.points_nm))
    return type(shape)(
        shape.x0_nm + dx_nm, shape.y0_nm + dy_nm, shape.x1_nm + dx_nm, shape.y1_nm + dy_nm
    )


def is_whole(shape: Shape, least_nm: float) -> bool:
    """Tell whether a shape is large enough to be meant, not a click that slipped."""
    if isinstance(shape, Line):
        return shape.length_nm >= least_nm
    if isinstance(shape, Polygon) and len(shape.points_nm) < LEAST_POINTS:
        return False
    left, top, right, bottom = shape.box_nm
    return min(right - left, bottom - top) >= least_nm
