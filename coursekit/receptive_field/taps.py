"""Which input positions feed an output position, for every operation that moves along an axis.

Convolution, pooling, resizing, slicing, padding: each is, on one axis, a list of *taps* for every output position. Far
from the borders the list repeats: ``period`` output positions further on it is the same list, ``advance`` input
positions further on. A convolution has period 1 and advance ``stride``; upsampling by 2 has period 2 and advance 1.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np

__all__ = [
    "Taps",
    "adaptive_windows",
    "filtered",
    "picked",
    "resized",
    "scattered",
    "shifted",
    "sliding_windows",
]

#: In a table of taps: no tap here.
NONE = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False)
class Taps:
    """The taps of one operation along one axis.

    Attributes:
        size: positions of the input, n.
        index: (outputs, k), the input positions that really feed each output; n where there is no tap.
        table: (period, k), taps of the first outputs on an axis without end; `NONE` where there is no tap; None if the
            list does not repeat.
        advance: input positions from one period to the next; may be negative.
    """

    size: int
    index: np.ndarray
    table: np.ndarray | None
    advance: int = 1

    @property
    def period(self) -> int:
        """After how many outputs the list repeats."""
        return 0 if self.table is None else len(self.table)

    @property
    def is_identity(self) -> bool:
        """Each output takes the input at its own position and no other, also on an axis without end.

        On one position a stride of 2 makes no difference yet, but a longer axis would have it.
        """
        endless = self.period == 1 and self.advance == 1 and self.table.tolist() == [[0]]
        return endless and self.index.shape == (self.size, 1) and bool((self.index[:, 0] == np.arange(self.size)).all())

    @classmethod
    def repeating(cls, size: int, outputs: int, table: np.ndarray, advance: int) -> "Taps":
        """Taps that follow one table all along the axis; those outside the input feed nothing."""
        index = _extend(table, advance, outputs)
        return cls(size, np.where((index < 0) | (index >= size), size, index), table, advance)


def _extend(table: np.ndarray, advance: int, outputs: int) -> np.ndarray:
    """The first ``outputs`` rows of a table that repeats; NONE stays NONE."""
    cycles, phases = np.divmod(np.arange(outputs), len(table))
    rows = table[phases]
    return np.where(rows == NONE, NONE, rows + (cycles * advance)[:, None])


@lru_cache(maxsize=4096)
def sliding_windows(size: int, outputs: int, kernel_size: int, stride: int, padding: int, dilation: int) -> Taps:
    """Windows of convolution and pooling: output o has the taps ``o * stride - padding + dilation * k``."""
    table = (np.arange(kernel_size) * dilation - padding)[None, :]
    return Taps.repeating(size, outputs, table, stride)


@lru_cache(maxsize=1024)
def scattered(size: int, outputs: int, kernel_size: int, stride: int, padding: int, dilation: int) -> Taps:
    """Transposed convolution: input i adds to the outputs ``i * stride - padding + dilation * k``.

    So output o has a tap wherever ``o + padding - dilation * k`` divides by the stride; o + stride has them one
    further.
    """
    reach = np.arange(stride)[:, None] + padding - dilation * np.arange(kernel_size)[None, :]  # (stride, K)
    table = np.where(reach % stride == 0, reach // stride, NONE)
    return Taps.repeating(size, outputs, table, 1)


@lru_cache(maxsize=1024)
def adaptive_windows(size: int, outputs: int) -> Taps:
    """Adaptive pooling: output o covers ``floor(o * n / m)`` to ``ceil((o + 1) * n / m) - 1``."""
    common = gcd(size, outputs)
    period, advance = outputs // common, size // common
    first = np.arange(period) * advance // period
    last = -(-(np.arange(period) + 1) * advance // period) - 1
    table = first[:, None] + np.arange((last - first).max() + 1)[None, :]
    return Taps.repeating(size, outputs, np.where(table > last[:, None], NONE, table), advance)


@lru_cache(maxsize=1024)
def shifted(size: int, outputs: int, start: int, step: int = 1) -> Taps:
    """Slicing and constant padding: output o is input ``start + o * step``, or nothing where there is none."""
    return Taps.repeating(size, outputs, np.array([[start]]), step)


def picked(size: int, index: np.ndarray, table_start: int | None = None) -> Taps:
    """Output o is input ``index[o]``: reflection, wrapping round, flipping, a list of indices.

    ``table_start`` says that, far from the border, output o is input ``table_start + o``. Without it, the list repeats
    if the indices are equally spaced.
    """
    index = np.where(index < 0, index + size, index)
    if table_start is not None:
        return Taps(size, index[:, None], np.array([[table_start]]), 1)
    steps = np.unique(np.diff(index))
    if len(steps) > 1 or (len(steps) == 1 and steps[0] == 0):
        return Taps(size, index[:, None], None)
    first = int(index[0]) if len(index) else 0
    return Taps(size, index[:, None], np.array([[first]]), int(steps[0]) if len(steps) else 1)


@lru_cache(maxsize=1024)
def resized(size: int, outputs: int, mode: str, align_corners: bool, scale: float | None) -> Taps:
    """Resizing by interpolation.

    Output o lies at ``(o + 1/2) * n / m - 1/2`` on the input's axis, with ``align_corners`` at ``o * (n - 1) / (m -
    1)``. Mode ``nearest`` takes ``floor(o * n / m)``, ``nearest-exact`` the pixel that ``(o + 1/2) * n / m`` falls in,
    ``linear`` the two neighbours and ``cubic`` four; a neighbour of weight 0 is no tap. At the border the outermost
    pixel stands for what lies outside.

    Args:
        size: n, positions of the input.
        outputs: m, positions of the output.
        mode: one of the four.
        align_corners: the first and the last positions of both coincide.
        scale: the factor from which PyTorch takes n / m instead of the sizes, if it was given one; None without.
    """
    if mode == "linear" and size == outputs:  # PyTorch copies, even if the factor is not quite 1
        return shifted(size, size, 0)
    period, advance = _repetition(size, outputs, align_corners, scale)
    span = max(outputs, period)
    position, exact = _positions(size, outputs, span, mode, align_corners, scale)
    if mode in ("nearest", "nearest-exact"):
        taps = position[:, None]
    else:
        around = np.array([0, 1] if mode == "linear" else [-1, 0, 1, 2])
        taps = np.where(exact[:, None] & (around != 0)[None, :], NONE, position[:, None] + around[None, :])
    inside = np.where(taps[:outputs] == NONE, size, np.clip(taps[:outputs], 0, size - 1))
    return Taps(size, inside, taps[:period] if period else None, advance)


@lru_cache(maxsize=1024)
def filtered(size: int, outputs: int, support: float, align_corners: bool, factor: float | None) -> Taps:
    """Resizing with a filter that widens when it shrinks, so that nothing aliases.

    Output o has its centre at ``(o + 1/2) * n / m`` and takes the pixels whose middles lie nearer than ``support``
    pixels, times n / m when shrinking; a triangle has support 1, a cubic filter 2. PyTorch takes n / m from ``factor``
    if it was given one, and with ``align_corners`` takes (n - 1) / (m - 1), 0 for one output.
    """
    period, advance = _repetition(size, outputs, align_corners, factor)
    span = max(outputs, period)
    if align_corners:
        scale = (size - 1) / (outputs - 1) if outputs > 1 else 0.0
    else:
        scale = size / outputs if factor is None else 1 / factor
    reach = support * max(scale, 1.0)
    centre = (np.arange(span) + 0.5) * scale
    first = np.floor(centre - reach + 0.5).astype(np.int64)
    taps = first[:, None] + np.arange(int(np.ceil(2 * reach)) + 2)[None, :]
    distance = np.abs(taps + 0.5 - centre[:, None])
    taps = np.where((taps >= np.floor(centre + reach + 0.5)[:, None]) | (distance > reach - 1e-9), NONE, taps)
    # The weight of a cubic filter is 0 at whole multiples of the pixel distance, the centre aside.
    if support == 2.0:
        ratio = distance / max(scale, 1.0)
        taps = np.where((np.abs(ratio - 1) < 1e-9), NONE, taps)
    inside = taps[:outputs]
    inside = np.where((inside == NONE) | (inside < 0) | (inside >= size), size, inside)
    if size == outputs:  # PyTorch copies, even if the factor is not quite 1
        inside = np.arange(size)[:, None]
    return Taps(size, inside, taps[:period] if period else None, advance)


def _repetition(size: int, outputs: int, align_corners: bool, scale: float | None) -> tuple[int, int]:
    """Period and advance of resizing; (0, 1) if it never repeats."""
    before, after = (size - 1, outputs - 1) if align_corners else (size, outputs)
    if scale is not None and not align_corners:
        before, after = _ratio(1 / scale)
        if after == 0:
            return 0, 1
    if before == 0 or after == 0:
        return 0, 1
    common = gcd(before, after)
    return after // common, before // common


def _ratio(value: float) -> tuple[int, int]:
    """The value as a fraction with a small denominator, if it is one; otherwise (0, 0)."""
    numerator, denominator = float(value).as_integer_ratio()
    for candidate in range(1, 65):
        if round(value * candidate) / candidate == value and round(value * candidate) > 0:
            return round(value * candidate), candidate
    return (numerator, denominator) if denominator <= 4096 else (0, 0)


def _positions(
    size: int, outputs: int, span: int, mode: str, align_corners: bool, scale: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The tap at or left of each output's place, and whether it lies there exactly. Single precision, as PyTorch's."""
    o = np.arange(span, dtype=np.float64)
    if align_corners:
        place = o * ((size - 1) / (outputs - 1) if outputs > 1 else 0.0)
    else:
        step = size / outputs if scale is None else 1 / scale
        if mode == "nearest":
            place = o * step
        elif mode == "nearest-exact":
            place = (o + 0.5) * step
        else:
            place = (o + 0.5) * step - 0.5
    nearby = np.round(place)
    place = np.where(np.abs(place - nearby) < 1e-9 * max(size, 1), nearby, place)
    if mode == "linear" and not align_corners:
        # Left of the first pixel's centre PyTorch moves the place to it: weight 1, no second tap.
        before_first = place < 0
        floor = np.floor(place).astype(np.int64)
        return floor, (place == floor) & ~before_first
    floor = np.floor(place).astype(np.int64)
    return floor, place == floor
