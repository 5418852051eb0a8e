"""Weighted sums of neighbours, in vectors that stay in registers.

A symmetric kernel along a row or along a column is the same deed at another distance between taps.
Written as a loop over pixels in a loop over taps, sums travel to memory and back at every tap; the
compiler does not turn the loops round. Here they are, in the compiler's own language: 32 pixels at
once, whatever the width of the registers is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

LANES = 32
"""Pixels that are summed at once: more need more registers than there are, fewer load each weight
too often."""

# Without types of their own.
_code: Any = cgutils
_arrays: Any = arrayobj
_FAST = ("contract", "nsz")


def padded_width(n: int) -> int:
    """Return how many pixels `weigh` writes for n of them: the next multiple of `LANES`."""
    return LANES * math.ceil(n / LANES)


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    pixel, whole = ir.FloatType(), ir.IntType(64)
    vector = ir.VectorType(pixel, LANES)
    lanes, one = ir.Constant(whole, LANES), ir.Constant(whole, 1)
    out, data, half = (
        _arrays.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 3, 6)
    )
    out_at, n, data_at, step = (arguments[i] for i in (1, 2, 4, 5))
    taps = _code.unpack_tuple(builder, half.shape, 1)[0]
    total = _code.alloca_once(builder, vector)
    nothing = ir.Constant(vector, ir.Undefined)
    first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)

    def place(array: Any, index: Any) -> Any:
        return builder.bitcast(builder.gep(array.data, [index]), vector.as_pointer())

    def pixels(index: Any) -> Any:
        return builder.load(place(data, index), align=4)

    def weight(tap: Any) -> Any:
        value = builder.load(builder.gep(half.data, [tap]))
        alone = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(alone, nothing, first)

    blocks = builder.sdiv(builder.add(n, ir.Constant(whole, LANES - 1)), lanes)
    with _code.for_range(builder, blocks) as block:
        x = builder.mul(block.index, lanes)
        centre = builder.add(data_at, x)
        start = builder.fmul(pixels(centre), weight(ir.Constant(whole, 0)), flags=_FAST)
        builder.store(start, total)
        with _code.for_range_slice(builder, one, taps, one) as (tap, _):
            away = builder.mul(tap, step)
            before, after = builder.sub(centre, away), builder.add(centre, away)
            both = builder.fadd(pixels(before), pixels(after), flags=_FAST)
            more = builder.fmul(both, weight(tap), flags=_FAST)
            builder.store(builder.fadd(builder.load(total), more, flags=_FAST), total)
        builder.store(builder.load(total), place(out, builder.add(out_at, x)), align=4)
    return context.get_dummy_value()


def _weigh(
    typing: Any, out: Any, out_at: Any, n: Any, data: Any, data_at: Any, step: Any, half: Any
) -> Any:
    """Write weighted sums of n pixels and their neighbours, for use from compiled code.

    Nothing is checked: `out` holds `padded_width(n)` pixels from `out_at` on, and `data` so many
    from `data_at` on and, at the distance of the outermost tap, before and after them. They are
    different memory.

    Parameters
    ----------
    out, out_at
        Written from this index on, float32, shape (m,).
    n
        How many pixels count.
    data, data_at
        The first pixel of those that count, float32, shape (k,).
    step
        Distance of taps: 1 along a row, the length of a row along a column.
    half
        Half of the kernel, from its centre outwards, float32, shape (taps,).
    """
    return types.void(out, out_at, n, data, data_at, step, half), _generate


weigh = cast("Callable[..., None]", intrinsic(_weigh))
