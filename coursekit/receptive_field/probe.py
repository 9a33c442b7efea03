"""A network made ready for measuring: a private copy, in evaluation mode, that is stopped at one layer."""

import copy
import difflib
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from coursekit.receptive_field.nan_flow import NaNFlow, UnfollowableError

__all__ = ["Probe", "WatchedNetwork", "checked_dims", "checked_input_size"]

#: Pixels in one run: past this, a larger batch saves no time.
PIXELS_A_RUN: Final = 40_000
LARGEST_BATCH: Final = 8
SEEDS: Final = (0, 1)


class _FoundError(BaseException):
    """Ends a run at the layer that is watched; not an Exception, so that no network catches it."""


class WatchedNetwork:
    """A private copy of a network; calling it gives the output of one layer, of its last call, and computes no further.

    Args:
        model: the network; stays as it is.
        layer: name of a submodule; None: the network itself.
        double: run in double precision; otherwise in the network's own, but at least in single precision.

    Raises:
        TypeError: ``model`` is not a module; at a call, the layer's output is not one tensor.
        ValueError: an unknown layer, or a network that cannot be copied or holds no numbers; at a call, a network that
            does not run on the images or does not call the layer.
    """

    def __init__(self, model: nn.Module, layer: str | None, *, double: bool = False) -> None:
        self.model = _private_copy(model, double)
        self.name = f"layer {layer!r}" if layer else "the network"
        self.output: Any = None
        self.calls, self.calls_a_run = 0, 0
        modules = dict(self.model.named_modules())
        if (layer or "") not in modules:
            near = difflib.get_close_matches(layer, modules, n=3, cutoff=0.4)
            hint = f"; near: {', '.join(near)}" if near else ""
            raise ValueError(f"the network has no layer {layer!r}{hint}")
        modules[layer or ""].register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.output = output
        self.calls += 1
        if self.calls == self.calls_a_run:
            raise _FoundError

    def __call__(self, images: Tensor) -> Tensor:
        self.output, self.calls = None, 0
        try:
            self.model(images.clone())
        except _FoundError:
            pass
        except UnfollowableError:
            raise
        except Exception as error:
            shape = tuple(images.shape)
            raise ValueError(f"the network does not run on an input of shape {shape}: {error}") from error
        if self.calls == 0:
            raise ValueError(f"the network never calls {self.name}")
        self.calls_a_run = self.calls
        if not isinstance(self.output, Tensor):
            kind = type(self.output).__name__
            keys = f" of {', '.join(map(str, self.output))}" if isinstance(self.output, Mapping) else ""
            raise TypeError(f"{self.name} gives a {kind}{keys}, not one tensor; name a layer that gives one")
        return self.output

    def random_image(self, in_channels: int, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """(1, in_channels, *size), normal, where the network's first numbers are and as precise as they."""
        if isinstance(in_channels, bool) or not isinstance(in_channels, int) or in_channels < 1:
            raise ValueError(f"in_channels must be an int of at least 1, got {in_channels!r}")
        image = torch.randn(1, in_channels, *size, generator=generator)
        for tensor in (*self.model.parameters(), *self.model.buffers()):
            if tensor.is_floating_point():
                return image.to(tensor.device, tensor.dtype)
        return image


class Probe:
    """A network run on perturbed images.

    Arguments and errors are those of :func:`coursekit.receptive_field.perturbation.perturbed_bounds`.

    Attributes:
        output_size: positions of the layer's map along each axis.
        seeds: of the random numbers that the network may draw; two when it draws any, so that runs can be compared.
    """

    def __init__(
        self,
        model: nn.Module,
        input_size: tuple[int, ...],
        layer: str | None,
        *,
        in_channels: int = 3,
        dims: Sequence[int] | None = None,
    ) -> None:
        self.input_size = input_size
        self.random = False
        self._growing: dict[int, tuple[bool, ...]] = {}
        for double in (False, True):  # sums that overflow, as in a very deep network without training, may fit
            self.network = WatchedNetwork(model, layer, double=double)
            self.image = self.network.random_image(in_channels, input_size, torch.Generator().manual_seed(SEEDS[0]))
            self.lengths: list[int] = []
            clean = self.run(self.image, lengths=self.lengths)
            if not torch.isnan(clean).any():
                break
        else:
            raise ValueError("the network gives NaN for a random image, so a perturbation cannot be seen")
        self.dims = checked_dims(dims, clean, len(input_size), self.network.name)
        self.output_size = tuple(clean.shape[dim] for dim in self.dims)
        self.largest_batch = self._largest_batch(clean.shape)
        self.seeds = SEEDS if self.random else SEEDS[:1]

    def _largest_batch(self, shape: torch.Size) -> int:
        """How many images may share a run: 1 if the network mixes the images of a batch or takes only one."""
        limit = min(LARGEST_BATCH, PIXELS_A_RUN // math.prod(self.input_size))
        if limit < 2 or self.random or 0 in self.dims:
            return 1
        images = self.image.repeat(3, *[1] * (self.image.ndim - 1))
        images[1] = torch.nan
        try:
            output = self.run(images)
        except UnfollowableError:
            raise
        except ValueError:  # runs on one image only
            return 1
        return limit if output.shape == (3, *shape[1:]) and not torch.isnan(output[::2]).any() else 1

    def run(
        self,
        images: Tensor,
        axis: int | None = None,
        seed: int = SEEDS[0],
        *,
        grows: Sequence[bool] = (),
        lengths: list[int] | None = None,
    ) -> Tensor:
        """The layer's output, with what takes in the whole of ``axis`` set aside; as in :class:`NaNFlow`."""
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(torch.random.fork_rng([images.device] if images.is_cuda else []))
            # These compute convolutions of transformed tiles, where NaN spreads over the tile.
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            stack.enter_context(torch.backends.nnpack.flags(enabled=False))
            flow = stack.enter_context(NaNFlow(axis, len(self.input_size), grows))
            source = torch.cuda.default_generators[images.device.index] if images.is_cuda else torch.default_generator
            before = source.manual_seed(seed).get_state()
            output = self.network(images)
            self.random |= not torch.equal(before, source.get_state())
        if lengths is not None:
            lengths.extend(flow.lengths)
        return output

    def growing(self, axis: int) -> tuple[bool, ...]:
        """Which operations outside maps follow the axis: those that take in more of an image of twice the length.

        None, where the network does not run on such an image, or does something else then.
        """
        if axis not in self._growing:
            longer: list[int] = []
            if self.lengths:
                try:
                    self.run(torch.cat([self.image] * 2, 2 + axis), lengths=longer)
                except ValueError:  # made for one size
                    longer.clear()
            same = len(longer) == len(self.lengths)
            self._growing[axis] = tuple(a != b for a, b in zip(self.lengths, longer, strict=True)) if same else ()
        return self._growing[axis]

    def reach(self, axis: int, rows: Sequence[slice], everything: bool, seed: int) -> np.ndarray:
        """(sets of rows, positions): which positions depend on each set."""
        tables = []
        for start in range(0, len(rows), self.largest_batch):
            chunk = rows[start : start + self.largest_batch]
            images = self.image.repeat(len(chunk), *[1] * (self.image.ndim - 1))
            for image, where in zip(images, chunk, strict=True):
                image.movedim(1 + axis, 0)[where] = torch.nan
            grows = () if everything else self.growing(axis)
            nan = torch.isnan(self.run(images, None if everything else axis, seed, grows=grows))
            dim = self.dims[axis]  # of one image alone, dimension 0 need not be the batch
            nan = nan[None].movedim(dim + 1, 1) if len(chunk) == 1 else nan.movedim(dim, 1)
            tables.append(nan.flatten(2).any(2).cpu().numpy())
        return np.concatenate(tables)


def _private_copy(model: nn.Module, double: bool) -> nn.Module:
    """A copy in evaluation mode, in single precision at least.

    Parameters, the bulk, are shared where no precision changes: a run without gradients does not write to them. In half
    precision, kernels multiply pixels beside the window by zeros, which NaN would survive.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    attributes = [value for module in model.modules() for value in vars(module).values()]
    tensors = [*model.parameters(), *(value for value in attributes if isinstance(value, Tensor))]
    both = (*tensors, *model.buffers())
    if any(tensor.is_meta for tensor in both):
        raise ValueError("the network is on the meta device, where tensors hold no numbers: nothing can be measured")
    half = any(tensor.is_floating_point() and tensor.dtype.itemsize < 4 for tensor in both)
    known = {} if half or double else {id(tensor): tensor for tensor in tensors if not is_lazy(tensor)}
    for buffer in model.buffers():
        if is_lazy(buffer):  # cannot be copied, but holds nothing
            known[id(buffer)] = UninitializedBuffer(device=buffer.device, dtype=buffer.dtype)
    try:
        twin = copy.deepcopy(model, known).eval()
    except Exception as error:
        raise ValueError(f"the network cannot be copied, and is not to be changed: {error}") from error
    if double:
        return twin.double()
    return twin.float() if half else twin


def checked_input_size(input_size: int | Sequence[int]) -> tuple[int, ...]:
    """One int for each axis; an int alone means a square image."""
    size = (input_size, input_size) if isinstance(input_size, int) else tuple(input_size)
    if not size or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in size):
        raise ValueError(
            f"input_size must be an int or a tuple of ints, one for each axis, of at least 1 pixel, got {input_size!r}"
        )
    return size


def checked_dims(dims: Sequence[int] | None, output: Tensor, axes: int, name: str) -> tuple[int, ...]:
    """The dimensions of a layer's output along which its positions lie."""
    shape = tuple(output.shape)
    if dims is None:
        if output.ndim != axes + 2:
            raise ValueError(
                f"{name} gives a tensor of shape {shape}, not (N, C, *spatial) with {axes} spatial axes: name a layer "
                "that gives a feature map, or say with dims where its positions are"
            )
        return tuple(range(2, axes + 2))
    found = tuple(dims)
    if len(found) != axes or any(not isinstance(dim, int) or not 0 <= dim < output.ndim for dim in found):
        raise ValueError(f"dims must name {axes} dimensions of {name}, whose shape is {shape}, got {dims!r}")
    return found
