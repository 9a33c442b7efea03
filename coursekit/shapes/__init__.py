"""Output-size arithmetic: how many pixels come out of a convolution, a pooling layer or a transposed convolution.

Pure Python on integers; nothing here needs PyTorch. Every function works on one axis (``size=224`` gives an int) or on
all axes at once (``size=(224, 224)`` gives a tuple); a setting given as one int then counts for every axis. Where
PyTorch computes a size, these functions give the same size, and where it refuses, they refuse and say why. They are
stricter in one point: a bool is never taken for a number, while PyTorch lets it pass as a convolution's ``kernel_size``
and in some places of a tuple.

The modules read in this order: `sizes` (the formulas), `padding` (how much of it, and on which side), `trace` (one
layer after another).
"""

from coursekit.shapes.padding import (
    Sides,
    same_padding,
    same_padding_sides,
    tensorflow_same_output_size,
    tensorflow_same_padding,
)
from coursekit.shapes.sizes import (
    conv_output_size,
    effective_kernel_size,
    output_size,
    pool_output_size,
    transposed_output_size,
    unused_pixels,
    window_counts,
)
from coursekit.shapes.trace import Conv, ConvTranspose, Pool, SizeTrace, TraceRow, trace_sizes

__all__ = [
    "Conv",
    "ConvTranspose",
    "Pool",
    "Sides",
    "SizeTrace",
    "TraceRow",
    "conv_output_size",
    "effective_kernel_size",
    "output_size",
    "pool_output_size",
    "same_padding",
    "same_padding_sides",
    "tensorflow_same_output_size",
    "tensorflow_same_padding",
    "trace_sizes",
    "transposed_output_size",
    "unused_pixels",
    "window_counts",
]
