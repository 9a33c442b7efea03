"""The closed form: intervals on an axis without end, where size, stride and start mean something.

Far from every border the interval of position i + ``period`` is that of position i, moved by ``advance`` pixels. One
position a period (a convolution) and several (after upsampling by 2, an even and an odd one) are the same thing here.
"""

from dataclasses import dataclass
from math import gcd

import numpy as np

from coursekit.receptive_field.intervals import FAR, align
from coursekit.receptive_field.taps import NONE, Taps

__all__ = ["Plane"]

#: Periods beyond this say nothing to a reader.
_LONGEST = 4096


@dataclass(frozen=True, eq=False)
class Plane:
    """Intervals of one input axis along a dimension without end.

    Attributes:
        dim: the dimension of the tensor along which the positions lie.
        table: (2, *shape) with the period along ``dim``: first pixel and minus the last pixel; `FAR` where empty.
        advance: pixels from one period to the next.
    """

    dim: int
    table: np.ndarray
    advance: int

    @classmethod
    def pixels(cls, rank: int, dim: int) -> "Plane":
        """The input itself."""
        return cls(dim, np.zeros((2,) + (1,) * rank, dtype=np.int64), 1)

    @property
    def period(self) -> int:
        """Positions after which the intervals repeat."""
        return self.table.shape[self.dim + 1]

    @property
    def rate(self) -> tuple[int, int]:
        """Pixels for each position as a fraction in lowest terms."""
        common = gcd(self.advance, self.period)
        return self.advance // common, self.period // common

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The table for any positions of ``dim``, also negative ones."""
        cycles, phases = np.divmod(positions, self.period)
        shape = [1] * self.table.ndim
        shape[self.dim + 1] = len(positions)
        moved = (cycles * self.advance).reshape(shape)
        table = self.table.take(phases, axis=self.dim + 1)
        return np.where(table >= FAR // 2, FAR, table + np.concatenate([moved, -moved]))

    def through(self, taps: Taps) -> "Plane | None":
        """After an operation with these taps along ``dim``; None if it does not repeat."""
        if taps.table is None:
            return None
        repeats = self.period // gcd(self.period, abs(taps.advance))
        period = taps.period * repeats
        if period > _LONGEST:
            return None
        index = (taps.table[None] + (np.arange(repeats) * taps.advance)[:, None, None]).reshape(period, -1)
        missing = np.tile(taps.table == NONE, (repeats, 1))
        values = self.at(np.where(missing, 0, index).ravel())
        shape = self.table.shape[: self.dim + 1] + index.shape + self.table.shape[self.dim + 2 :]
        mask = missing.reshape((1,) * (self.dim + 1) + index.shape + (1,) * (self.table.ndim - self.dim - 2))
        table = np.where(mask, FAR, values.reshape(shape)).min(axis=self.dim + 2)
        return Plane(self.dim, table, taps.advance * repeats // self.period * self.advance).shortest()

    def shortest(self) -> "Plane":
        """The same intervals with the shortest period."""
        for period in range(1, self.period):
            if self.period % period or self.advance * period % self.period:
                continue
            head = np.arange(period)
            short = Plane(self.dim, self.table.take(head, axis=self.dim + 1), self.advance * period // self.period)
            if (short.at(np.arange(self.period)) == self.table).all():
                return short
        return self

    def tiled(self, period: int) -> np.ndarray:
        """The table for a multiple of the period."""
        return self.table if period == self.period else self.at(np.arange(period))

    def aligned(self, rank: int) -> "Plane":
        """For a tensor with more dimensions on the left."""
        missing = rank - (self.table.ndim - 1)
        return Plane(self.dim + missing, align(self.table, rank), self.advance) if missing else self

    def distance(self, other: "Plane", period: int) -> float:
        """How far apart, at most, the centres of two branches are at the same position; both move at the same rate."""
        if self is other:
            return 0.0
        mine, theirs = self._doubled_centres(period), other._doubled_centres(period)
        if len(mine) == 0 or len(theirs) == 0:
            return 0.0
        return float(np.abs(mine[:, None] - theirs[None]).max()) / 2 if not _same_rows(mine, theirs) else 0.0

    def _doubled_centres(self, period: int) -> np.ndarray:
        """First plus last pixel, (different columns, period); columns with an empty interval are left out."""
        table = np.moveaxis(self.tiled(period), self.dim + 1, -1).reshape(2, -1, period)
        full = (table[0] < FAR // 2).all(axis=1)
        return np.unique((table[0] - table[1])[full], axis=0)


def _same_rows(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool((one == other).all())
