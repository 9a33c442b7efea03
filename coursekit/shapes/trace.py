"""Follow the size through a list of layers."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TypeAlias

from coursekit.shapes._axes import Axes, on_each_axis
from coursekit.shapes.sizes import conv_output_size, pool_output_size, transposed_output_size
from coursekit.tables import html_table, size_text, text_table

__all__ = ["Conv", "ConvTranspose", "Pool", "SizeTrace", "TraceRow", "trace_sizes"]


@dataclass(frozen=True)
class Conv:
    """A convolution, as in ``torch.nn.Conv2d``; see `conv_output_size`. ``name`` is shown in tables and errors."""

    kernel_size: Axes
    stride: Axes = 1
    padding: Axes | str = 0
    dilation: Axes = 1
    name: str = ""

    def output_size(self, size: Axes) -> Axes:
        """Size after this layer."""
        return conv_output_size(size, self.kernel_size, self.stride, self.padding, self.dilation)


@dataclass(frozen=True)
class Pool:
    """Pooling, as in ``torch.nn.MaxPool2d``; see `pool_output_size`. ``stride=None`` means ``kernel_size``."""

    kernel_size: Axes
    stride: Axes | None = None
    padding: Axes = 0
    dilation: Axes = 1
    ceil_mode: bool = False
    name: str = ""

    def output_size(self, size: Axes) -> Axes:
        """Size after this layer."""
        return pool_output_size(
            size, self.kernel_size, self.stride, self.padding, self.dilation, ceil_mode=self.ceil_mode
        )


@dataclass(frozen=True)
class ConvTranspose:
    """A transposed convolution, as in ``torch.nn.ConvTranspose2d``; see `transposed_output_size`."""

    kernel_size: Axes
    stride: Axes = 1
    padding: Axes = 0
    dilation: Axes = 1
    output_padding: Axes = 0
    name: str = ""

    def output_size(self, size: Axes) -> Axes:
        """Size after this layer."""
        return transposed_output_size(
            size, self.kernel_size, self.stride, self.padding, self.dilation, self.output_padding
        )


Layer: TypeAlias = Conv | Pool | ConvTranspose


@dataclass(frozen=True)
class TraceRow:
    """One layer of a `SizeTrace`: its place in the list (from 0), itself, the size before it and the size after it."""

    index: int
    layer: Layer
    input_size: Axes
    output_size: Axes

    @property
    def name(self) -> str:
        """The layer's name, or its kind if it has none."""
        return self.layer.name or type(self.layer).__name__


@dataclass(frozen=True)
class SizeTrace:
    """What `trace_sizes` found: the size before the first layer and one `TraceRow` for each layer.

    ``print`` shows it as a text table, a notebook as an HTML table.
    """

    input: Axes
    rows: tuple[TraceRow, ...]

    @property
    def output(self) -> Axes:
        """Size after the last layer; the input size if there is no layer."""
        return self.rows[-1].output_size if self.rows else self.input

    def __str__(self) -> str:
        return text_table(_HEADINGS, self._cells())

    def _repr_html_(self) -> str:
        caption = f"Size after each layer, from {size_text(self.input)} to {size_text(self.output)}"
        return html_table(caption, _HEADINGS, self._cells(), header_column=1)

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                str(row.index),
                row.name,
                _settings_text(row.layer),
                size_text(row.input_size),
                size_text(row.output_size),
            )
            for row in self.rows
        ]


def trace_sizes(size: Axes, layers: Iterable[Layer]) -> SizeTrace:
    """Size after each of several layers.

    Args:
        size: pixels of the first layer's input: an int for one axis, a tuple for several.
        layers: `Conv`, `Pool` and `ConvTranspose` in the order in which they are applied.

    Returns:
        A `SizeTrace`; its ``output`` is the size after the last layer.

    Raises:
        TypeError: ``size`` or a setting is no integer, or a layer is of another kind.
        ValueError: a layer refuses its input; the message starts with the layer's index and name.
    """
    start = current = on_each_axis(lambda size: size, size=size)
    rows = []
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"layer {index} must be a Conv, Pool or ConvTranspose, got {layer!r}")
        try:
            after = layer.output_size(current)
        except (TypeError, ValueError) as error:
            kind = type(layer).__name__
            label = f"{layer.name!r}, {kind}" if layer.name else kind
            raise type(error)(f"layer {index} ({label}) on size {size_text(current)}: {error}") from None
        rows.append(TraceRow(index, layer, current, after))
        current = after
    return SizeTrace(start, tuple(rows))


_HEADINGS = ("#", "layer", "settings", "input", "output")


def _settings_text(layer: Layer) -> str:
    """The kernel and every setting that differs from its default, in the words of the code."""
    shown = [
        f"{field.name}={getattr(layer, field.name)!r}"
        for field in fields(layer)
        if field.name != "name" and getattr(layer, field.name) != field.default
    ]
    return ", ".join(shown)
