"""How NaN flows through a network: the ruler of :mod:`coursekit.receptive_field.perturbation`.

Whatever is computed from NaN is NaN: zero weights, dead ReLUs, max pooling and batch normalisation let it through. A
few operations hide it or spread it further than the values go; :class:`NaNFlow` puts those right while a network runs:

- a comparison with NaN is False, never NaN: entries that such a decision touches are made NaN;
- interpolation multiplies some pixels by a weight of exactly 0: those pixels do not count;
- in a *local* measurement, whatever takes in a whole axis is set aside.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["NaNFlow", "UnfollowableError"]

REDUCTIONS: Final = frozenset(
    {
        "mean",
        "sum",
        "nansum",
        "prod",
        "amax",
        "amin",
        "aminmax",
        "max",
        "min",
        "var",
        "std",
        "var_mean",
        "std_mean",
        "logsumexp",
        "linalg_vector_norm",
        "norm",
    }
)
ADAPTIVE_POOLS: Final = frozenset(
    {"_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"}
)
SOFTMAX: Final = frozenset({"_softmax", "_log_softmax", "_safe_softmax"})
BATCH_NORMS: Final = frozenset({"native_batch_norm", "_native_batch_norm_legit"})
PRODUCTS: Final = frozenset({"mm", "bmm"})
ATTENTION: Final = "_scaled_dot_product"  # how the names of its kernels begin
#: Work on each entry by itself, but carry no such tag.
POINTWISE: Final = frozenset({"masked_fill", "masked_fill_", "_to_copy", "copy_", "clone"})
#: Give a number although they were given NaN.
FORGETFUL: Final = frozenset(
    {"sign", "sgn", "fmin", "fmax", "pow", "float_power", "copysign", "heaviside", "nan_to_num", "nan_to_num_"}
)
#: Move values to places that depend on the values.
SORTERS: Final = frozenset(
    {"sort", "topk", "kthvalue", "mode", "median", "nanmedian", "unique_consecutive", "_unique2", "histc"}
)
#: Read the image at places given by their further arguments.
SAMPLERS: Final = frozenset({"grid_sampler_2d", "grid_sampler_3d", "deform_conv2d"})
WEIGHT_OF_ZERO: Final = 1e-9  # rounding in double precision stays below, weights of real pixels above


class UnfollowableError(ValueError):
    """A network's dependence on its input changes with the values, or cannot be seen."""


class NaNFlow(TorchDispatchMode):
    """Run a network under this mode, without gradients: an output entry is NaN exactly when it depends on an input NaN.

    With ``axis`` the measurement is local along that axis: operations that follow the image's whole length, whatever
    that length is, let no NaN through. These are reductions over the axis (mean, sum, maximum, deviation, norm),
    adaptive pooling to one entry, and the statistics of normalisation and softmax over the axis (an entry still depends
    on itself). A pooling window of fixed size stays local even where it covers the map, for it would not follow a
    larger image, until its single entry is broadcast over many: then it is a gate. Where the axis has one entry left,
    there is nothing to set aside.

    In maps, tensors of shape (N, C, *spatial), the axis has its place. Elsewhere, as in flattened maps and tokens, a
    length tells it: ``lengths`` holds, for each reduction, softmax and product of matrices outside maps in the order of
    the calls, over how many entries it ran. Where that number grew with the image, it follows the axis: what was seen
    to do so is given as ``grows``. Attention over tokens is then set aside, but for what a token asks itself.

    Args:
        axis: the spatial axis, 0 for the first, along which to measure locally; None: all dependence.
        axes: number of spatial axes of the image, >= 1.
        grows: which of the operations counted in ``lengths`` follow the axis; those past its end do not.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False: no part of ``torch.compile`` is wanted here, and to import it only to switch it off takes seconds."""
        return False

    def __init__(self, axis: int | None, axes: int, grows: Sequence[bool] = ()) -> None:
        super().__init__()
        self.axes = axes
        self.grows = grows
        self.lengths: list[int] = []
        self.dim = 0 if axis is None else axis - axes  # counted from the end; 0: nothing is set aside
        self.decided = WeakTensorKeyDictionary()  # bool or integer tensor -> mask of its entries that NaN decided

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func.overloadpacket.__name__
        if args and isinstance(args[0], Tensor):
            self._refuse_choices(name, args)
            grown = self._grown(func, name, args, kwargs)
            if self.dim and _is_numeric(args[0]):
                if name in PRODUCTS or name.startswith(ATTENTION):
                    return _without_sums(func, args, kwargs) if grown else func(*args, **kwargs)
                if self._normalises(name, args) or (grown and name in SOFTMAX):
                    return _normalised(func, args, kwargs)
                if grown or self._collapses(func, name, args, kwargs):
                    return func(torch.nan_to_num(args[0]), *args[1:], **kwargs)
            if "upsample" in name and "nearest" not in name:
                return _interpolated(func, args, kwargs)
            if self.dim and (
                torch.Tag.pointwise in func.tags or _is_in_place_pointwise(func, name) or name == "expand"
            ):
                args = self._without_gates(name, args)
        return self._follow(func, name, args, kwargs)

    def _collapses(self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Whether the operation reduces the whole axis to one entry."""
        if args[0].ndim < -self.dim or args[0].shape[self.dim] == 1:
            return False
        if name in ADAPTIVE_POOLS:
            return len(args[1]) >= -self.dim and args[1][self.dim] == 1
        if name not in REDUCTIONS or len(list(_tensors(args, kwargs))) > 1:  # max(a, b) is no reduction
            return False
        dims = _reduced_dims(func, args, kwargs)
        return len(dims) == args[0].ndim or (self._is_map(args[0]) and self.dim in [dim - args[0].ndim for dim in dims])

    def _without_gates(self, name: str, args: Sequence[Any]) -> Sequence[Any]:
        """What has one entry along the axis of a map and is broadcast to many is a gate: its NaN is set aside."""
        maps = [value if isinstance(value, Tensor) and self._is_map(value) else None for value in args]
        if name == "expand":
            many = maps[0] is not None and len(args[1]) == args[0].ndim and args[1][self.dim] > 1
        else:
            many = any(value is not None and value.shape[self.dim] > 1 for value in maps)
        if not many:
            return args
        gates = [value is not None and _is_numeric(value) and value.shape[self.dim] == 1 for value in maps]
        return [torch.nan_to_num(value) if gate else value for value, gate in zip(args, gates, strict=True)]

    def _grown(self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Count an operation that takes in several entries, outside maps; whether it is known to follow the axis."""
        image = args[0]
        if name in PRODUCTS:
            length = image.shape[-1]
        elif name.startswith(ATTENTION):
            length = args[1].shape[-2]  # keys
        elif name in SOFTMAX:  # in maps as well: the weights of an attention are (N, heads, tokens, tokens)
            length = image.shape[args[1]]
        elif (self._is_map(image) and image.shape[2] > 1) or not _is_numeric(image):  # (N, C, 1, L) may be flattened
            return False
        elif name in REDUCTIONS and len(list(_tensors(args, kwargs))) == 1:
            length = math.prod(image.shape[dim] for dim in _reduced_dims(func, args, kwargs))
        else:
            return False
        self.lengths.append(length)
        return len(self.lengths) <= len(self.grows) and self.grows[len(self.lengths) - 1]

    def _normalises(self, name: str, args: Sequence[Any]) -> bool:
        """Whether the operation takes statistics over the whole axis to rescale each entry."""
        if name in BATCH_NORMS:
            return bool(args[5])  # training: statistics of this very map, as in instance normalisation
        if name == "native_layer_norm":
            return 1 < len(args[1]) >= -self.dim  # one dimension: the channels, last
        if name in SOFTMAX:
            return self._is_map(args[0]) and args[1] in (self.dim, args[0].ndim + self.dim)
        return name == "native_group_norm"

    def _is_map(self, value: Tensor) -> bool:
        """(N, C, *spatial); pooling and normalisation of one axis may run as (N, C, 1, L)."""
        return value.ndim == self.axes + 2 or (self.axes == 1 and value.ndim == 4 and value.shape[2] == 1)

    def _refuse_choices(self, name: str, args: Sequence[Any]) -> None:
        if name == "_local_scalar_dense" and bool(self._mask(args[0]).any()):
            raise UnfollowableError(
                "the network branches on values that it computes (if, item() or int() of a tensor), so what it sees "
                "can change from image to image"
            )
        watched = args[:1] if name in SORTERS else args[1:] if name in SAMPLERS else ()
        if any(bool(self._mask(value).any()) for value in watched if isinstance(value, Tensor)):
            raise UnfollowableError(f"{name} reads places that depend on the values, so they can change with the image")

    def _mask(self, value: Tensor) -> Tensor:
        if _is_numeric(value):
            return torch.isnan(value)
        mask = self.decided.get(value)
        return torch.zeros(value.shape, dtype=torch.bool, device=value.device) if mask is None else mask

    def _follow(self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the operation; see to it that what NaN decided is NaN, or marked where the result cannot be NaN."""
        tensors = list(_tensors(args, kwargs))
        watch = name in FORGETFUL or bool(self.decided and any(value in self.decided for value in tensors))
        masks = [self._mask(value) for value in tensors] if watch else []  # before an in-place operation
        out = func(*args, **kwargs)
        if isinstance(out, tuple) and isinstance(out[0], Tensor) and _is_numeric(out[0]):
            for index in out[1:]:  # of a maximum, beside its value
                if isinstance(index, Tensor) and not _is_numeric(index) and index.shape == out[0].shape:
                    self._mark(index, torch.isnan(out[0]))
        if not isinstance(out, Tensor) or name.endswith("_like") or name.startswith("new_"):
            return out
        if not watch:
            if _is_numeric(out):
                return out
            masks = [self._mask(value) for value in tensors]
        if not any(bool(mask.any()) for mask in masks):
            return out
        mask = self._result_mask(func, name, args, kwargs, masks).expand(out.shape)
        if _is_numeric(out):
            return out.masked_fill_(mask, torch.nan)
        self._mark(out, mask.clone())
        return out

    def _mark(self, value: Tensor, mask: Tensor) -> None:
        if bool(mask.any()):
            self.decided[value] = mask

    def _result_mask(
        self, func: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], masks: Sequence[Tensor]
    ) -> Tensor:
        """Which entries of the result depend on the marked entries of the inputs."""
        if (func.is_view or name == "_unsafe_view") and len(masks) == 1:
            return func(masks[0], *args[1:], **kwargs)
        assigns = name == "index_put_" and len(args[1]) == 1 and args[1][0].dtype == torch.bool and args[2].numel() == 1
        if assigns and args[1][0].shape == args[0].shape:  # x[x < 0] = 0
            return masks[0] | masks[1]
        if torch.Tag.pointwise not in func.tags and name not in POINTWISE and not _is_in_place_pointwise(func, name):
            raise UnfollowableError(f"what {name} gives depends on comparing values, so it can change with the image")
        mask = masks[0]
        for other in masks[1:]:
            mask = mask | other
        return mask


def _is_numeric(value: Tensor) -> bool:
    """Whether NaN can stand in it."""
    return value.is_floating_point() or value.is_complex()


def _tensors(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    for argument in (*args, *kwargs.values()):
        values = argument if isinstance(argument, list | tuple) else (argument,)
        yield from (value for value in values if isinstance(value, Tensor))


def _is_in_place_pointwise(func: Any, name: str) -> bool:
    """Tags stand on ``add``, not on ``add_``."""
    twin = getattr(torch.ops.aten, name.removesuffix("_"), None) if name.endswith("_") else None
    overload = getattr(twin, func._overloadname, None)
    return overload is not None and torch.Tag.pointwise in overload.tags


def _reduced_dims(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[int]:
    """The dimensions that a reduction takes in, none negative; all of them where it names none."""
    names = [argument.name for argument in func._schema.arguments]
    dims = args[names.index("dim")] if "dim" in names[: len(args)] else kwargs.get("dim")
    if dims is None or dims == []:
        return list(range(args[0].ndim))
    return [dim % args[0].ndim for dim in ([dims] if isinstance(dims, int) else dims)]


def _without_sums(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A product or an attention whose sum runs over the axis: only NaN all along the sum counts, or in the query."""
    one, other = (torch.isnan(value) for value in args[:2])
    finite = [torch.nan_to_num(value) if isinstance(value, Tensor) else value for value in args]
    out = func(*finite, **kwargs)
    if isinstance(out, tuple):  # an attention: its result, and what its derivative needs
        out[0].masked_fill_(one.any(-1, keepdim=True), torch.nan)
        return out
    return out.masked_fill_(one.all(-1, keepdim=True) | other.all(-2, keepdim=True), torch.nan)


def _normalised(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    mask = torch.isnan(args[0])
    out = func(torch.nan_to_num(args[0]), *args[1:], **kwargs)
    (out[0] if isinstance(out, tuple) else out).masked_fill_(mask, torch.nan)
    return out


def _interpolated(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Interpolation is linear: outputs that use NaN entries answer to noise there and zeros elsewhere."""
    image, rest = args[0], args[1:]
    mask = torch.isnan(image)
    out = func(torch.nan_to_num(image), *rest, **kwargs)
    if not bool(mask.any()):
        return out
    generator = torch.Generator(image.device).manual_seed(0)
    noise = torch.rand(image.shape, generator=generator, dtype=torch.float64, device=image.device) + 1
    answer = func(noise * mask, *rest, **kwargs)
    return out.masked_fill_(answer.abs() > WEIGHT_OF_ZERO, torch.nan)
