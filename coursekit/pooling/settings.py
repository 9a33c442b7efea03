"""What a pooling layer was given: its settings checked, and its input.

`WindowGrid` holds the settings of all layers with sliding windows; the functions below it check the others. A setting
that no input could ever satisfy is refused here, when the layer is built.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real

import torch
from torch import Tensor

from coursekit.shapes import effective_kernel_size, pool_output_size

__all__ = [
    "PADDING_MODES",
    "IntOrPair",
    "OutputSize",
    "WindowGrid",
    "as_divisor",
    "as_flag",
    "as_output_size",
    "as_pair",
    "as_real",
    "as_whole",
    "check_feature_map",
    "check_mirror",
    "compact",
]

IntOrPair = int | tuple[int, int]
OutputSize = int | tuple[int | None, int | None] | None
PADDING_MODES = ("reflect", "replicate", "zeros")


@dataclass(frozen=True)
class WindowGrid:
    """The settings of a pooling layer, each as a (height, width) pair.

    Build one with `WindowGrid.of`, which takes what the layer was given.
    """

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    ceil_mode: bool

    @classmethod
    def of(
        cls,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        *,
        ceil_mode: bool = False,
    ) -> "WindowGrid":
        """Check the settings of a layer and bring them into pairs.

        Args:
            kernel_size: window height and width, >= 1; one int stands for both.
            stride: step between windows, >= 1; None means `kernel_size`.
            padding: pixels added on each side, at most half the kernel.
            dilation: distance between neighbouring pixels of a window, >= 1.
            ceil_mode: whether a last window may hang over the far edge.

        Raises:
            TypeError: a setting is not an int or a pair of ints.
            ValueError: a setting is out of range; the message names it and what is allowed.
        """
        kernel = as_pair(kernel_size, "kernel_size", minimum=1)
        pads = as_pair(padding, "padding", minimum=0)
        for side, pad in zip(kernel, pads, strict=True):
            if pad > side // 2:
                raise ValueError(f"padding must be at most kernel_size // 2 = {side // 2}, got {pad}")
        return cls(
            kernel_size=kernel,
            stride=kernel if stride is None else as_pair(stride, "stride", minimum=1),
            padding=pads,
            dilation=as_pair(dilation, "dilation", minimum=1),
            ceil_mode=as_flag(ceil_mode, "ceil_mode"),
        )

    @property
    def reach(self) -> tuple[int, int]:
        """Height and width that a window spans, dilation included."""
        return effective_kernel_size(self.kernel_size, self.dilation)

    @property
    def overlaps(self) -> bool:
        """Whether some pixel can lie in more than one window."""
        return any(step < reach for step, reach in zip(self.stride, self.reach, strict=True))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Number of windows down and across an input of `height` x `width` pixels.

        Raises:
            ValueError: the input is too small for one window, or dilation puts a window wholly into the padding.
        """
        return _output_size(self, height, width)

    def unpooled_size(self, counts: tuple[int, int], wanted: Sequence[int] | None = None) -> tuple[int, int]:
        """Height and width of an input that had `counts` windows down and across, without dilation.

        Args:
            counts: number of windows down and across.
            wanted: which of the possible sizes; None takes (count - 1) stride - 2 padding + kernel.

        Raises:
            ValueError: no input of the size `wanted` has that many windows, or none of the usual size.
        """
        usual = [
            (count - 1) * step - 2 * pad + side
            for count, step, pad, side in zip(counts, self.stride, self.padding, self.kernel_size, strict=True)
        ]
        if wanted is None:
            if min(usual) < 1:
                raise ValueError(f"an output of {usual[0]} x {usual[1]} pixels has none; give output_size")
            return usual[0], usual[1]
        allowed = [range(max(1, size - step + 1), size + step) for size, step in zip(usual, self.stride, strict=True)]
        if len(wanted) != 2 or any(size not in sizes for size, sizes in zip(wanted, allowed, strict=True)):
            down, across = (f"{sizes.start}..{sizes.stop - 1}" for sizes in allowed)
            raise ValueError(f"output_size must be (H, W) with H in {down} and W in {across}, got {tuple(wanted)}")
        return int(wanted[0]), int(wanted[1])


@lru_cache(maxsize=1024)  # asked at each forward pass; the sums take longer than pooling a small map
def _output_size(grid: WindowGrid, height: int, width: int) -> tuple[int, int]:
    size = (height, width)
    output = pool_output_size(
        size, grid.kernel_size, grid.stride, grid.padding, grid.dilation, ceil_mode=grid.ceil_mode
    )
    for axis in (0, 1):
        stride, padding, dilation = grid.stride[axis], grid.padding[axis], grid.dilation[axis]
        for start in range(-padding, output[axis] * stride - padding, stride):
            # A window that starts in the padding takes its first real pixel less than one dilation into the input.
            # torch gives -inf for a window without one, and an index that lies outside the input.
            if start < 0 and start % dilation >= size[axis]:
                raise ValueError(
                    f"the window that starts at {start} sees only padding: with dilation {dilation} it steps over all "
                    f"{size[axis]} pixels of the input; use less dilation, less padding or a larger input"
                )
    return output


def as_whole(value: int, name: str, *, minimum: int) -> int:
    """`value` as an int that is at least `minimum`."""
    try:
        whole = operator.index(value)
    except TypeError:
        whole = None
    if whole is None or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if whole < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return whole


def as_pair(value: IntOrPair, name: str, *, minimum: int) -> tuple[int, int]:
    """`value` as a (height, width) pair of ints that are at least `minimum`."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        whole = as_whole(value, name, minimum=minimum)
        return whole, whole
    if len(value) == 1:  # torch takes these
        value = (value[0], value[0])
    if len(value) != 2:
        raise ValueError(f"{name} must be an int or a (height, width) pair, got {value!r}")
    height, width = (as_whole(entry, f"each entry of {name}", minimum=minimum) for entry in value)
    return height, width


def as_output_size(value: OutputSize) -> tuple[int | None, int | None]:
    """The size of an adaptive layer as a (height, width) pair, in which None stands for the size of the input."""
    entries = value if isinstance(value, Sequence) and len(value) == 2 else (value, value)
    height, width = (
        None if entry is None else as_pair(entry, "output_size", minimum=1)[axis] for axis, entry in enumerate(entries)
    )
    return height, width


def as_divisor(value: int | None) -> int | None:
    """`divisor_override`: None, or an int that is at least 1."""
    return None if value is None else as_whole(value, "divisor_override", minimum=1)


def as_flag(value: bool, name: str) -> bool:
    """`value`, refused unless it is True or False: a number here is an argument in the wrong place."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def as_real(value: float, name: str, *, minimum: float, maximum: float) -> float:
    """`value` as a float from `minimum` to `maximum`; NaN lies nowhere."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must lie between {minimum:g} and {maximum:g}, got {value!r}")
    return float(value)


def compact(pair: tuple[int | None, int | None]) -> int | tuple[int | None, int | None] | None:
    """A pair as a person would write it: one number where both are equal."""
    return pair[0] if pair[0] == pair[1] else pair


def check_feature_map(x: Tensor, layer: str, *, integers: bool = False) -> None:
    """Refuse what is not a batch of feature maps (N, C, H, W) or a single one (C, H, W).

    Args:
        x: the input of a layer; an empty batch (N = 0) passes.
        layer: the layer's name, for the message.
        integers: whether whole numbers are fine (a maximum of them is exact, an average is not).

    Raises:
        TypeError: not a tensor, or a data type the layer has no meaning for.
        ValueError: wrong number of axes, or an axis other than the batch is empty.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{layer} takes a torch.Tensor, got {type(x).__name__}")
    if x.dim() not in (3, 4):
        raise ValueError(f"{layer} takes (N, C, H, W) or (C, H, W), got {x.dim()} axes: shape {tuple(x.shape)}")
    if 0 in x.shape[-3:]:
        raise ValueError(f"{layer} needs at least one channel and one pixel, got shape {tuple(x.shape)}")
    whole = not x.is_floating_point() and not x.is_complex() and x.dtype != torch.bool
    if not x.is_floating_point() and not (integers and whole):
        raise TypeError(f"{layer} takes floating-point numbers, got {x.dtype}; convert with x.float()")


def check_mirror(pad: int, height: int, width: int) -> None:
    """Refuse to mirror more pixels at an edge than there are beyond it."""
    if pad >= min(height, width):
        raise ValueError(
            f"padding_mode='reflect' mirrors {pad} pixels and needs an input of at least {pad + 1} x {pad + 1}, "
            f"got {height} x {width}; use 'replicate' or a smaller kernel_size"
        )
