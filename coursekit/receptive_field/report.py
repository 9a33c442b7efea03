"""What `receptive_field` gives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from rich.table import Table
from rich.text import Text

from coursekit.receptive_field.fields import axis_names
from coursekit.tables import html_table, size_text, text_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EachAxis", "ReceptiveField", "ReceptiveFields"]


class EachAxis(tuple):
    """One truth value for each axis; as a condition, all of them together."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return all(self)


@dataclass(frozen=True)
class ReceptiveField:
    """What the positions of a feature map see of the input, per axis: (height, width) for pictures.

    The closed form ``size``, ``stride``, ``start`` describes the local field on an input without end: position i sees
    the pixels from ``start + i * stride``, ``size`` of them, also beyond the image where padding reaches out. Gates
    (squeeze and excitation) and global pooling are set aside there; ``sees_everything`` and ``bounds(everything=True)``
    count them.

    Attributes:
        layer: the layer that was asked for, or the one that makes the last feature map.
        map_layer: the layer whose positions these are: ``layer`` itself, or, where its output has no positions left
            (after global pooling or flattening), the one that makes the last feature map before it.
        input_size: pixels per axis.
        output_size: positions of the feature map per axis.
        size: pixels of the local field. Where positions differ (after upsampling) the largest.
        stride: pixels from one position to the next; after upsampling on average, a fraction if need be; None where
            there is no closed form.
        start: first pixel of the first position's field, negative where padding reaches out of the image.
        sees_everything: whether every position (of the output of ``layer``) reaches the first and the last pixel.
        agrees: whether ``start + i * stride`` and ``size``, cut to the image, give ``bounds()`` at every position i.
            Not after upsampling, where neighbours see different numbers of pixels, and not where a border changes more.
        misaligned: sentences on branches that merge although their centres differ.
    """

    layer: str
    map_layer: str
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int | Fraction | None, ...]
    start: tuple[int, ...]
    sees_everything: EachAxis
    agrees: EachAxis
    misaligned: tuple[str, ...]
    _local: tuple[np.ndarray, ...] = field(repr=False, compare=False)
    _everything: tuple[np.ndarray, ...] = field(repr=False, compare=False)
    _plane: tuple[np.ndarray, ...] = field(repr=False, compare=False)

    def centers(self) -> tuple[np.ndarray, ...]:
        """Centre of each position's local field, per axis, in pixels: 0 is the middle of the first pixel.

        Not cut to the image. NaN for a position that no pixel reaches.
        """
        return tuple(
            np.where(first > last, np.nan, (first + last) / 2) for first, last in map(np.transpose, self._plane)
        )

    def bounds(self, everything: bool = False, *, clip: bool = True) -> tuple[np.ndarray, ...]:
        """First and last pixel that reach each position, per axis an array (positions, 2).

        Args:
            everything: count gates and global pooling; by default the local field alone.
            clip: exact bounds inside the image. False gives those of the closed form, which go on where padding
                reaches out of the image (the same as the exact ones where there is no closed form).

        Returns:
            First and last pixel; (0, -1) for a position that no pixel reaches.

        Raises:
            ValueError: ``everything`` without ``clip``: only the local field goes on outside of the image.
        """
        if everything and not clip:
            raise ValueError("clip=False describes the local field and cannot be combined with everything=True")
        chosen = self._everything if everything else self._local if clip else self._plane
        return tuple(bounds.copy() for bounds in chosen)

    def plot(self, image: ArrayLike | None = None, position: Sequence[int] | None = None) -> "Figure":
        """One position's field over an image, the part outside of it included.

        Args:
            image: of the input size, (H, W), (H, W, 3) or (3, H, W); None draws an empty grid.
            position: row and column of the feature map; None means the middle.

        Raises:
            ValueError: not two axes, an image of another size, or a position outside of the map.
        """
        # Drawing comes later in the library than measuring; it is loaded when somebody draws.
        from coursekit.plots.receptive_field import plot_receptive_field

        return plot_receptive_field(self, image, position)

    def __rich__(self) -> Table:
        return _rich_table(self._title(), _AXIS_HEADINGS, self._cells())

    def _repr_html_(self) -> str:
        return html_table(self._title(), _AXIS_HEADINGS, self._cells())

    def _title(self) -> str:
        below = "" if self.layer == self.map_layer else f", by its last feature map, {_in_words(self.map_layer)}"
        return f"Receptive field of {_in_words(self.layer)}{below}, input {size_text(self.input_size)}"

    def _cells(self) -> list[tuple[str, ...]]:
        names = axis_names(len(self.size))
        columns = (names, self.size, self.stride, self.start, self.output_size, self.sees_everything)
        return [
            (name, str(size), _stride_text([stride]), _start_text([start]), str(positions), "yes" if sees else "no")
            for name, size, stride, start, positions, sees in zip(*columns, strict=True)
        ]

    def __str__(self) -> str:
        seen = ", sees the whole input" if self.sees_everything else ""
        return (
            f"{self._title()}: size {size_text(self.size)}, "
            f"stride {_stride_text(self.stride)}, start {_start_text(self.start)}, "
            f"{size_text(self.output_size)} positions{seen}"
        )


@dataclass(frozen=True)
class ReceptiveFields:
    """The receptive field of every layer whose output is a feature map, in the order of the calls."""

    model: str
    input_size: tuple[int, ...]
    rows: tuple[ReceptiveField, ...]
    kinds: tuple[str, ...]

    def __iter__(self) -> Iterator[ReceptiveField]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, layer: str) -> ReceptiveField:
        for row in self.rows:
            if row.layer == layer:
                return row
        raise KeyError(layer)

    def to_pandas(self) -> pd.DataFrame:
        """A row for each layer; a column of tuples for each property."""
        columns = ("layer", "output_size", "size", "stride", "start", "sees_everything")
        table = pd.DataFrame([{name: getattr(row, name) for name in columns} for row in self.rows], columns=columns)
        table.insert(1, "kind", self.kinds)
        return table

    def __rich__(self) -> Table:
        return _rich_table(self._title(), _HEADINGS, self._cells())

    def __str__(self) -> str:
        return f"{self._title()}\n{text_table(_HEADINGS, self._cells())}"

    def _repr_html_(self) -> str:
        return html_table(self._title(), _HEADINGS, self._cells())

    def _title(self) -> str:
        return f"Receptive fields of {self.model}, input {size_text(self.input_size)}"

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row.layer,
                kind,
                size_text(row.output_size),
                size_text(row.size),
                _stride_text(row.stride),
                _start_text(row.start),
                "yes" if row.sees_everything else "no",
            )
            for row, kind in zip(self.rows, self.kinds, strict=True)
        ]


_AXIS_HEADINGS = ("Axis", "Field", "Stride", "Start", "Positions", "Sees everything")
_HEADINGS = ("Layer", "Kind", "Positions", "Field", "Stride", "Start", "Sees everything")


def _in_words(layer: str) -> str:
    return repr(layer) if layer else "the model itself"


def _rich_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*headings, title=Text(title), title_justify="left")
    for row in rows:
        table.add_row(*map(Text, row))  # brackets in a name are no markup
    return table


def _stride_text(stride: Iterable[int | Fraction | None]) -> str:
    return " × ".join("uneven" if step is None else str(step) for step in stride)


def _start_text(start: Iterable[int]) -> str:
    return ", ".join(str(first) for first in start).replace("-", "−")
