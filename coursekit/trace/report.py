"""What `trace` gives: a row for each module call, and the totals."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pandas as pd
from rich.table import Table
from rich.text import Text

from coursekit.tables import amount, html_table, size_text, text_table

__all__ = ["Layer", "Trace"]

#: Rows that a table shows before it leaves out the inner modules.
_ROWS = 64
_HEADINGS = ("Layer", "Kind", "Output", "Parameters", "MACs", "Memory")


@dataclass(frozen=True)
class Layer:
    """One call of one module.

    Attributes:
        name: dotted name in the model; empty for the model itself.
        kind: class of the module.
        depth: how many calls it stands in; 0 for the model itself.
        output_shape: shape of its (first) output tensor; None if it returns no tensor.
        params: parameters of the module and what it contains; those that an earlier row has are not counted again.
        macs: multiply-accumulates of the call, all inside it included.
        activation_bytes: new memory that its operations fill, all inside it included; working in place fills none.
    """

    name: str
    kind: str
    depth: int
    output_shape: tuple[int, ...] | None
    params: int
    macs: int
    activation_bytes: int


@dataclass(frozen=True)
class Trace:
    """What a network costs for one input.

    Attributes:
        model: class of the model.
        input_shape: (N, C, *axes).
        output_shape: shape of the (first) output tensor.
        params: parameters, tied ones once.
        macs: multiply-accumulates of one forward pass; see ``partial``.
        activation_bytes: all memory that the operations of a forward pass fill, one after another.
        peak_bytes: the most of it (and of the input) that lives at the same time, in inference. What a library needs
            beside the result, such as the indices that PyTorch's max pooling fills and drops, is not counted.
        training_bytes: the most that lives at the same time in a forward and backward pass, gradients of activations
            included, those of parameters not; None without ``training=True``.
        partial: operations whose MACs are unknown and missing in the totals; empty when the count is complete.
        layers: a row for each module call, in the order of the calls.
    """

    model: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] | None
    params: int
    macs: int
    activation_bytes: int
    peak_bytes: int
    training_bytes: int | None
    partial: tuple[str, ...]
    layers: tuple[Layer, ...]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each module call, with the fields of `Layer` as columns."""
        return pd.DataFrame([asdict(layer) for layer in self.layers])

    def table(self, depth: int | None = None) -> Table:
        """For the terminal, down to a depth of calls; by default as deep as 64 rows allow."""
        table = Table(*_HEADINGS, title=Text(self._title()), caption="\n".join(self._totals()), caption_justify="left")
        for column in table.columns[3:]:
            column.justify = "right"
        for row in self._rows(depth):
            table.add_row(*map(Text, row))  # brackets in a name are no markup
        return table

    def __rich__(self) -> Table:
        return self.table()

    def __str__(self) -> str:
        return "\n".join((self._title(), text_table(_HEADINGS, self._rows()), *self._totals()))

    def _repr_html_(self) -> str:
        notes = "".join(f"<br>{line}" for line in self._totals())
        return (
            html_table(self._title(), _HEADINGS, self._rows(), numbers=(3, 4, 5))
            + f"<p>{notes.removeprefix('<br>')}</p>"
        )

    def _title(self) -> str:
        return f"{self.model}, input {size_text(self.input_shape)}"

    def _totals(self) -> list[str]:
        lines = [
            f"{self.params:,} parameters, {amount(self.macs)} MACs"
            + (f" (partial: {', '.join(self.partial)} not counted)" if self.partial else ""),
            f"Activations: {amount(self.activation_bytes, 'B')} filled, at most {amount(self.peak_bytes, 'B')} at once",
        ]
        if self.training_bytes is not None:
            lines.append(f"Training: at most {amount(self.training_bytes, 'B')} at once")
        return lines

    def _rows(self, depth: int | None = None) -> Iterator[tuple[str, ...]]:
        limit = self._shown_depth() if depth is None else depth
        for layer in self.layers:
            if layer.depth <= limit:
                shape = "-" if layer.output_shape is None else size_text(layer.output_shape[1:])
                name = layer.name.rpartition(".")[2] or "(model)"
                yield (
                    "  " * layer.depth + name,
                    layer.kind,
                    shape,
                    f"{layer.params:,}",
                    amount(layer.macs),
                    amount(layer.activation_bytes, "B"),
                )

    def _shown_depth(self) -> int:
        deepest = max((layer.depth for layer in self.layers), default=0)
        fitting = (
            depth for depth in range(deepest, 0, -1) if sum(layer.depth <= depth for layer in self.layers) <= _ROWS
        )
        return next(fitting, 1)
