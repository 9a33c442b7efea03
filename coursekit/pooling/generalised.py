"""Pooling between and beyond maximum and average: L_p, mixed, stochastic and blur pooling as modules.

torch has no such layers (its `LPPool2d` takes the sum where this one takes the mean). They are put together from
torch's pooling kernels and, where those cannot do it, from the one sliding-window view of `coursekit.pooling.windows`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coursekit.pooling.modules import WindowPool2d, max_of_windows, mean_of_windows
from coursekit.pooling.settings import (
    PADDING_MODES,
    IntOrPair,
    WindowGrid,
    as_flag,
    as_pair,
    as_real,
    as_whole,
    check_feature_map,
    check_mirror,
    compact,
)
from coursekit.pooling.windows import (
    chosen_windows,
    pixel_counts,
    pixel_numbers,
    sliding_windows,
    tile_windows,
)
from coursekit.shapes import same_padding_sides

__all__ = ["BlurPool2d", "LPPool2d", "MixedPool2d", "StochasticPool2d"]


class LPPool2d(WindowPool2d):
    """The power mean of each window: (mean |x|^p)^(1/p), p = `norm_type`.

    p = 1 is the average of |x|, p = 2 the root mean square, p = inf the maximum of |x|; the larger p, the nearer to the
    maximum (Gulcehre et al. 2014). `torch.nn.LPPool2d` has the sum in place of the mean: its values are larger by the
    factor (number of pixels)^(1/p), and its gradient is NaN for a window of zeros; here it is 0 there.

    Safe at any p: windows in which |x|^p leaves the range of the data type (p = 8 in float32: all below 1e-4 or one
    above 1e4) are computed once more, divided by their largest pixel. Half-precision inputs are computed in float32.
    Looking for such windows makes a GPU wait for the result.

    Args:
        norm_type: the exponent p, >= 1; `math.inf` for the maximum.
        kernel_size: window height and width.
        stride: step between windows; None means `kernel_size`.
        padding: zeros added on each side, at most `kernel_size // 2`.
        ceil_mode: let a last window hang over the far edge; what lies beyond the padding is never counted.
        count_include_pad: whether the zeros of the padding count as pixels.

    Raises:
        TypeError: a setting is no number, or the input no tensor of floating-point numbers.
        ValueError: `norm_type` is below 1 or NaN, another setting is out of range, or the input too small.
    """

    def __init__(
        self,
        norm_type: float,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(WindowGrid.of(kernel_size, stride, padding, ceil_mode=ceil_mode))
        self.norm_type = as_real(norm_type, "norm_type", minimum=1, maximum=math.inf)
        self.count_include_pad = as_flag(count_include_pad, "count_include_pad")

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, OH, OW)."""
        self.check(x)
        magnitude = _at_least_single(x).abs()
        if self.norm_type == 1:
            return self._mean(magnitude).to(x.dtype)
        if math.isinf(self.norm_type):
            return max_of_windows(magnitude, self.grid).to(x.dtype)
        return self._power_mean(magnitude).to(x.dtype)

    def _power_mean(self, magnitude: Tensor) -> Tensor:
        p = self.norm_type
        mean = self._mean(magnitude.pow(p))
        if mean.is_meta or mean.numel() == 0:
            return mean.pow(1 / p)
        info = torch.finfo(mean.dtype)
        low, high = info.tiny / info.eps, info.max * info.eps  # inside, no pixel that matters was rounded away
        smallest, largest = mean.detach().aminmax()
        if smallest >= low and largest <= high:
            return mean.pow(1 / p)

        lost = (mean < low) | (mean > high)
        pixels = 2 * math.prod(self.kernel_size)  # at most, with room for rounding
        if not largest <= high:
            # The slope of an overflowing power is inf, and 0 * inf is NaN. One such pixel lifts the mean above `high`:
            # it lies in lost windows only and may be taken out here.
            mean = self._mean(magnitude.masked_fill(magnitude > (high * pixels) ** (1 / p), 0).pow(p))
        root = mean.clamp(low, high).pow(1 / p).masked_fill(lost, 0)  # the root has slope inf at 0, clamped it has 0
        if largest <= high and _smallest_positive(magnitude) > (low * pixels) ** (1 / p):
            return root  # one such pixel lifts the mean above `low`: the lost windows hold zeros
        again = lost & (mean_of_windows(magnitude.detach(), self.grid, divisor_override=1) > 0)
        if again.any():
            root[again] = self._scaled_power_mean(magnitude, again)
        return root

    def _scaled_power_mean(self, magnitude: Tensor, chosen: Tensor) -> Tensor:
        """The power mean of the `chosen` windows (a mask), each divided by its largest pixel before taking powers."""
        windows = chosen_windows(magnitude, self.grid, chosen)  # (M, KH, KW)
        largest = windows.detach().amax((-2, -1))
        # The result does not depend on the unit, so no gradient need flow through it.
        unit = torch.where(torch.isfinite(largest), largest, 1)
        counts = pixel_counts(self.grid, magnitude, include_pad=self.count_include_pad).expand_as(chosen)[chosen]
        total = (windows / unit[:, None, None]).pow(self.norm_type).sum((-2, -1))
        return unit * (total / counts).pow(1 / self.norm_type)

    def _mean(self, x: Tensor) -> Tensor:
        return mean_of_windows(x, self.grid, self.count_include_pad)

    def extra_repr(self) -> str:
        """The exponent, then as for every window pooling."""
        counting = "" if self.count_include_pad else ", count_include_pad=False"
        return f"norm_type={self.norm_type:g}, {super().extra_repr()}{counting}"


class MixedPool2d(WindowPool2d):
    """alpha * max + (1 - alpha) * average of each window (Lee, Gallagher and Tu 2016).

    Args:
        kernel_size: window height and width.
        stride: step between windows; None means `kernel_size`.
        padding: pixels added on each side, at most `kernel_size // 2`: -inf for the maximum, 0 for the average.
        ceil_mode: let a last window hang over the far edge.
        count_include_pad: whether the zeros of the padding count as pixels of the average.
        alpha: share of the maximum, between 0 and 1; strictly between them if it is to be learnt.
        learnable: learn alpha = sigmoid(logit), one number for the layer, from the given value on.

    Raises:
        TypeError: a setting is no number, or the input no tensor of floating-point numbers.
        ValueError: a setting is out of range, or the input too small.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        alpha: float = 0.5,
        learnable: bool = False,
    ) -> None:
        super().__init__(WindowGrid.of(kernel_size, stride, padding, ceil_mode=ceil_mode))
        self.count_include_pad = as_flag(count_include_pad, "count_include_pad")
        share = as_real(alpha, "alpha", minimum=0, maximum=1)
        if as_flag(learnable, "learnable"):
            if share in (0, 1):
                raise ValueError(f"a learnable alpha must lie strictly between 0 and 1, got {alpha}")
            self.logit = nn.Parameter(torch.tensor(math.log(share / (1 - share))))
        else:
            self.register_parameter("logit", None)
            self._share = share

    @property
    def alpha(self) -> float:
        """The share of the maximum now."""
        return self._share if self.logit is None else float(self.logit.detach().sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, OH, OW)."""
        self.check(x)
        share = self._share if self.logit is None else self.logit.sigmoid()
        if self.logit is None and share == 1:  # not the formula: 0 * inf would be NaN
            return max_of_windows(x, self.grid)
        average = mean_of_windows(x, self.grid, self.count_include_pad)
        if self.logit is None and share == 0:
            return average
        return share * max_of_windows(x, self.grid) + (1 - share) * average

    def extra_repr(self) -> str:
        """As for every window pooling, then the mixture."""
        counting = "" if self.count_include_pad else ", count_include_pad=False"
        learnt = "" if self.logit is None else ", learnable=True"
        share = "unknown" if learnt and self.logit.is_meta else f"{self.alpha:.3g}"
        return f"{super().extra_repr()}{counting}, alpha={share}{learnt}"


class StochasticPool2d(WindowPool2d):
    """One activation of each window, drawn with probability p_i = a_i / sum a, where a = max(x, 0).

    In training one activation is drawn, for each window on its own. In evaluation the module gives what the draw gives
    on average: sum p_i a_i = (sum a_i^2) / (sum a_i) (Zeiler and Fergus 2013). A window without a positive pixel gives
    0, with gradient 0; one with a NaN gives NaN. Padding is never drawn.

    The draw is a race: pixel i arrives after a time E_i / a_i with E_i exponentially distributed; it is first with
    probability p_i. So one maximum of a_i / E_i serves all windows that share no pixel; windows that do overlap are
    laid side by side first, so that each has its own noise.

    The squares of evaluation leave float32 above 1.8e19 (inf) and below 1e-19 (0). Half-precision inputs are computed
    in float32.

    Args:
        kernel_size: window height and width.
        stride: step between windows; None means `kernel_size`.
        padding: pixels added on each side, at most `kernel_size // 2`.
        dilation: distance between neighbouring pixels of a window.
        ceil_mode: let a last window hang over the far edge.

    Raises:
        TypeError: a setting is no whole number, or the input no tensor of floating-point numbers.
        ValueError: a setting is out of range, or the input too small.
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(WindowGrid.of(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, OH, OW)."""
        self.check(x)
        activations = _at_least_single(x).relu()
        pooled = self._draw(activations) if self.training else self._expectation(activations)
        return pooled.to(x.dtype)

    def _draw(self, activations: Tensor) -> Tensor:
        with torch.no_grad():
            winners = self._winners(activations)
        drawn = activations.flatten(-2).gather(-1, winners.flatten(-2)).unflatten(-1, winners.shape[-2:])
        return drawn.contiguous(memory_format=_memory_format(activations))

    def _winners(self, activations: Tensor) -> Tensor:
        """The number (row * W + column) of the pixel drawn from each window."""
        grid = self.grid
        if not grid.overlaps:
            return max_of_windows(_race(activations), grid, return_indices=True)[1]
        race = _race(tile_windows(activations, grid, fill=-math.inf))
        _, winners = F.max_pool2d(race, grid.kernel_size, return_indices=True)
        return tile_windows(pixel_numbers(activations), grid).flatten()[winners]

    def _expectation(self, activations: Tensor) -> Tensor:
        if self.dilation == (1, 1):
            total = mean_of_windows(activations, self.grid)
            squares = mean_of_windows(activations.square(), self.grid)  # the number of pixels cancels
        else:
            windows = sliding_windows(activations, self.grid)
            total = windows.sum((-2, -1))
            squares = windows.square().sum((-2, -1))
        return squares / total.masked_fill(total == 0, 1)


class BlurPool2d(nn.Module):
    """A low-pass filter, then every `stride`-th pixel: downsampling with less aliasing (Zhang 2019).

    Each channel is filtered on its own with the outer product of binomial coefficients: [1, 1] / 2, [1, 2, 1] / 4,
    [1, 3, 3, 1] / 8 and so on. Output size ceil(H / stride). The weights sum to 1: a constant stays what it is, except
    beside a border of zeros.

    Args:
        kernel_size: side of the filter, >= 1 (1 takes every `stride`-th pixel unfiltered).
        stride: step between outputs, one number or (height, width).
        padding_mode: what lies beyond the edge: "reflect" (mirror without the edge pixel), "replicate" or "zeros".

    Raises:
        TypeError: a setting is no whole number, or the input no tensor of floating-point numbers.
        ValueError: a setting is out of range, or the input too small to be mirrored.
    """

    taps: Tensor

    def __init__(self, kernel_size: int = 3, stride: IntOrPair = 2, padding_mode: str = "reflect") -> None:
        super().__init__()
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}")
        self.kernel_size = as_whole(kernel_size, "kernel_size", minimum=1)
        self.stride = as_pair(stride, "stride", minimum=1)
        self.padding_mode = padding_mode
        self.sides = same_padding_sides(self.kernel_size)
        binomials = [math.comb(self.kernel_size - 1, k) for k in range(self.kernel_size)]
        taps = torch.tensor(binomials, dtype=torch.float32) / 2 ** (self.kernel_size - 1)
        self.register_buffer("taps", taps, persistent=False)  # no knowledge in it: not in the state_dict

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        check_feature_map(x, "BlurPool2d")
        before, after = self.sides
        if self.padding_mode == "reflect":
            check_mirror(after, x.shape[-2], x.shape[-1])
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        padded = F.pad(x, (before, after, before, after), mode=mode)
        taps = self.taps.to(device=x.device, dtype=x.dtype)
        channels = x.shape[-3]
        weight = torch.outer(taps, taps).expand(channels, 1, -1, -1)  # (C, 1, K, K)
        return F.conv2d(padded, weight, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        """All three settings."""
        return f"kernel_size={self.kernel_size}, stride={compact(self.stride)}, padding_mode={self.padding_mode!r}"


def _race(activations: Tensor) -> Tensor:
    """a / E with exponentially distributed E, one for each pixel."""
    # -log(uniform) is three times as fast as Tensor.exponential_ on a CPU; the clamp keeps E finite.
    uniform = torch.rand_like(activations).clamp_min_(torch.finfo(activations.dtype).tiny)
    noise = uniform.log_().neg_()
    return torch.div(activations, noise, out=noise)


def _smallest_positive(x: Tensor) -> Tensor:
    """The smallest pixel above 0, inf if there is none."""
    return F.threshold(x.detach(), 0, math.inf).amin()


def _at_least_single(x: Tensor) -> Tensor:
    """`x` in float32 if its own type is too coarse for powers and probabilities."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _memory_format(x: Tensor) -> torch.memory_format:
    if x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
        return torch.channels_last
    return torch.contiguous_format
