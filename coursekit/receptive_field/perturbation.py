"""What the outputs of a real network depend on, found by perturbing its input.

No geometry is computed here. Some rows of a random image are made NaN, the network runs, and outputs that turned NaN
depend on those rows: :mod:`coursekit.receptive_field.nan_flow` says why that is exact. With rows ``0..r`` perturbed, a
position turns NaN when the first row that it sees is at most ``r``; bisection over ``r``, shared by all positions,
finds that row in a few runs. Rows ``r..`` give the last one in the same way.

It takes seconds rather than milliseconds, and the network must run; in exchange nothing is taken on trust.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from coursekit.receptive_field.nan_flow import UnfollowableError
from coursekit.receptive_field.probe import Probe, checked_input_size

__all__ = ["MeasuredField", "perturbed_bounds", "unclipped_field", "unclipped_size"]


def perturbed_bounds(
    model: nn.Module,
    input_size: int | Sequence[int] = 224,
    layer: str | None = None,
    *,
    in_channels: int = 3,
    axis: int | None = None,
    positions: Sequence[int] | None = None,
    everything: bool = True,
    dims: Sequence[int] | None = None,
    guess: Sequence[np.ndarray] | None = None,
) -> tuple[np.ndarray, ...]:
    """First and last input pixel that each output position depends on, along each axis.

    Along the height, pixel means a row of the image: position p depends on row r when any output of row p, in any
    channel, depends on any pixel of row r. The network is measured in evaluation mode, on a copy that shares its
    parameters; the one given is left as it was.

    Args:
        model: any network that takes one image, on any device that holds numbers (not meta). Half precision is measured
            in single precision.
        input_size: pixels: one int for a square image, or one int for each axis: (16000,), (224, 320), (16, 112, 112).
        layer: name of a submodule, as in ``model.get_submodule``; the output of its last call is measured. None: the
            output of the network.
        in_channels: channels of the image, >= 1.
        axis: measure this axis alone, 0 for the first; None: all.
        positions: measure these positions alone, in this order; None: all.
        everything: True: all that can influence a position. False: the local field: what takes in a whole axis (global
            pooling, gates of squeeze and excitation, statistics of group normalisation) is set aside, within the limits
            that :class:`~coursekit.receptive_field.nan_flow.NaNFlow` names.
        dims: dimensions of the layer's tensor along which the positions lie, one for each axis; None: the tensor is
            (N, C, *spatial).
        guess: for each axis of the image, what the result is thought to be for all positions, e.g. from
            ``receptive_field(...).bounds(...)``. It decides which rows are tried first, never what is found: a right
            guess saves most runs, a wrong one costs some.

    Returns:
        For each axis measured an int array (positions, 2): first and last pixel, inside the image; (0, -1) for a
        position that depends on none.

    Raises:
        TypeError: ``model`` is not a module, or the layer's output is not one tensor.
        ValueError: an impossible argument; an unknown layer, one that is never called, or one whose output has other
            dimensions; a network that does not run on such an image (its own error is the cause), that cannot be
            copied, that is on the meta device, or that gives NaN for a clean image.
        UnfollowableError: a ValueError as well: the network decides by values that it computes, or draws at random
            where to look.
    """
    size = checked_input_size(input_size)
    axes = _checked_axes(axis, len(size))
    probe = Probe(model, size, layer, in_channels=in_channels, dims=dims)
    measured = []
    for a in axes:
        places = _checked_positions(positions, probe.output_size[a])
        table = None if guess is None else _checked_guess(guess, a, probe.output_size)[places]
        bounds, *others = (_Bisection(probe, a, places, everything, seed, table).run() for seed in probe.seeds)
        if any((bounds != other).any() for other in others):
            raise UnfollowableError("what the network sees is drawn at random: it changes from run to run")
        measured.append(bounds)
    return tuple(measured)


@dataclass(frozen=True)
class MeasuredField:
    """Field of an interior position along one axis, on an image long enough not to clip it.

    Attributes:
        size: pixels from the first to the last one that the position depends on.
        stride: pixels from its first pixel to that of the next position.
        start: first pixel of the field of position 0, if fields lie regularly; negative in the padding.
    """

    size: int
    stride: int
    start: int


def unclipped_field(
    model: nn.Module,
    layer: str | None = None,
    *,
    in_channels: int = 3,
    axes: int = 2,
    axis: int | None = None,
    thickness: int = 33,
    longest: int = 10_400,
    everything: bool = False,
) -> tuple[MeasuredField, ...]:
    """Size, stride and start of the field in the middle of an image that is long along one axis, thin along the others.

    The length starts at 325 pixels and doubles until the field touches neither end.

    Args:
        model: as in :func:`perturbed_bounds`; it must run on other sizes than it was made for.
        layer: as in :func:`perturbed_bounds`.
        in_channels: channels of the image, >= 1.
        axes: number of spatial axes, >= 1.
        axis: measure this axis alone, 0 for the first; None: all.
        thickness: pixels along the other axes; the fewer the faster.
        longest: pixels of the longest image to try.
        everything: as in :func:`perturbed_bounds`; where a network has global paths, only False has an answer.

    Returns:
        One :class:`MeasuredField` for each axis measured, of the middle position. Where fields differ from position to
        position, as after upsampling, it tells of that position only.

    Raises:
        ValueError: the field touches an end of the longest image; or as :func:`perturbed_bounds`.
    """
    if axes < 1 or thickness < 1 or longest < 1:
        raise ValueError(f"axes, thickness and longest must be at least 1, got {axes}, {thickness} and {longest}")
    measured = []
    for a in _checked_axes(axis, axes):
        probe = _long_probe(model, layer, in_channels, a, [thickness] * axes, longest, everything)
        places = np.array([0, 1]) + (probe.output_size[a] - 1) // 2
        (first, last), (next_first, _) = _Bisection(probe, a, places, everything, probe.seeds[0]).run().tolist()
        stride = next_first - first
        measured.append(MeasuredField(size=last - first + 1, stride=stride, start=first - int(places[0]) * stride))
    return tuple(measured)


def unclipped_size(
    model: nn.Module,
    layer: str | None = None,
    *,
    in_channels: int = 3,
    axes: int = 2,
    thickness: int = 33,
    everything: bool = False,
) -> tuple[int, ...]:
    """The sizes alone of :func:`unclipped_field`, for every axis."""
    fields = unclipped_field(
        model, layer, in_channels=in_channels, axes=axes, thickness=thickness, everything=everything
    )
    return tuple(field.size for field in fields)


def _long_probe(
    model: nn.Module,
    layer: str | None,
    in_channels: int,
    axis: int,
    size: list[int],
    longest: int,
    everything: bool,
) -> Probe:
    """The network on the shortest image on which the fields of its two middle positions touch neither end."""
    length = min(325, longest)
    while True:
        size[axis] = length
        probe = Probe(model, tuple(size), layer, in_channels=in_channels)
        middle = (probe.output_size[axis] - 1) // 2
        if probe.output_size[axis] > 1:
            ends = probe.reach(axis, [slice(0, 1), slice(length - 1, length)], everything, probe.seeds[0])
            if not ends[:, middle : middle + 2].any():
                return probe
        if length == longest:
            raise ValueError(
                f"along axis {axis} the field of position {middle} touches the end of an image of {longest} pixels: it "
                "is longer, or part of it follows the image, or there are too few positions"
            )
        length = min(2 * length, longest)


class _Bisection:
    """Search for the first and the last row that each of some positions depends on.

    ``low`` and ``high``, both (positions, 2), enclose the first and the last row; every run narrows
    them for all positions.
    """

    def __init__(
        self,
        probe: Probe,
        axis: int,
        positions: np.ndarray,
        everything: bool,
        seed: int,
        guess: np.ndarray | None = None,
    ) -> None:
        self.probe, self.axis, self.positions = probe, axis, positions
        self.everything, self.seed = everything, seed
        self.guess = guess
        self.low = np.zeros((len(positions), 2), dtype=np.int64)
        self.high = np.full((len(positions), 2), probe.input_size[axis] - 1)

    def run(self) -> np.ndarray:
        """The bounds, (positions, 2); (0, -1) for a position that depends on no row."""
        alive = np.ones(len(self.positions), dtype=bool)
        if self.guess is None or (self.guess[:, 0] > self.guess[:, 1]).any() or self.probe.input_size[self.axis] == 1:
            (alive,) = self._reach([slice(None)])
            self.low[~alive] = self.high[~alive] = (0, -1)
        while (self.low < self.high).any():
            cuts = self._cuts()
            rows = [slice(0, row + 1) if side == 0 else slice(row, None) for side, row in cuts]
            for (side, row), reached in zip(cuts, self._reach(rows), strict=True):
                self._narrow(side, row, reached, alive)
        self.low[self.low[:, 0] > self.low[:, 1]] = (0, -1)  # never reached, from either side
        return self.low

    def _reach(self, rows: Sequence[slice]) -> np.ndarray:
        return self.probe.reach(self.axis, rows, self.everything, self.seed)[:, self.positions]

    def _cuts(self) -> list[tuple[int, int]]:
        """Rows that cut open intervals, as (side, row), as many as fit into one run: by the guess, or in the middle."""
        cuts = set()
        for side in (0, 1):
            for i in np.flatnonzero(self.low[:, side] < self.high[:, side]):
                low, high = int(self.low[i, side]), int(self.high[i, side])
                row = (low + high + side) // 2
                if self.guess is not None and low <= self.guess[i, side] <= high:
                    row = int(self.guess[i, side])
                    if side == 0 and row == high:
                        row -= 1
                    elif side == 1 and row == low:
                        row += 1
                cuts.add((side, row))
        chosen = np.linspace(0, len(cuts) - 1, min(len(cuts), self.probe.largest_batch)).round().astype(int)
        return [sorted(cuts)[i] for i in chosen]

    def _narrow(self, side: int, row: int, reached: np.ndarray, alive: np.ndarray) -> None:
        low, high = self.low[:, side], self.high[:, side]
        missed = alive & ~reached
        if side == 0:  # rows 0..row: reached when the first row is among them
            high[reached] = np.minimum(high[reached], row)
            low[missed] = np.maximum(low[missed], row + 1)
        else:  # rows row..end
            low[reached] = np.maximum(low[reached], row)
            high[missed] = np.minimum(high[missed], row - 1)


def _checked_axes(axis: int | None, count: int) -> Iterable[int]:
    if axis is None:
        return range(count)
    if isinstance(axis, bool) or not isinstance(axis, int) or not 0 <= axis < count:
        raise ValueError(f"axis must be None or an int from 0 to {count - 1}, got {axis!r}")
    return (axis,)


def _checked_positions(positions: Sequence[int] | None, count: int) -> np.ndarray:
    if positions is None:
        return np.arange(count)
    places = np.asarray(positions)
    if places.ndim != 1 or places.dtype.kind not in "iu" or not ((places >= 0) & (places < count)).all():
        raise ValueError(f"positions must be ints from 0 to {count - 1}, got {positions!r}")
    return places


def _checked_guess(guess: Sequence[np.ndarray], axis: int, output_size: tuple[int, ...]) -> np.ndarray:
    table = np.asarray(guess[axis])
    if len(guess) != len(output_size) or table.shape != (output_size[axis], 2):
        raise ValueError(
            f"guess must hold an array of shape (positions, 2) for each axis of the map, {output_size} positions, got "
            f"{[np.shape(table) for table in guess]}"
        )
    return table
