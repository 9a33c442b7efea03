"""Multiply-accumulates of one operation.

A MAC is one multiplication and one addition; many authors call it a FLOP, others count two FLOPs for it. Counted is
what multiplies two arrays and sums: convolution, linear layers, matrix products, attention. Normalisation, activation,
pooling and resizing are free by convention (He et al. 2015 count the same way).
"""

import math
from collections.abc import Callable

from torch import Tensor

from coursekit.interpreter.operations import Kernel, Operation

__all__ = ["is_countable", "macs_of"]

Rule = Callable[[Operation], int]


def macs_of(operation: Operation) -> int | None:
    """MACs of an operation; None if it is unknown what it costs."""
    rule = _RULES.get(operation.name)
    if rule is not None:
        return rule(operation)
    return 0 if is_countable(operation.kernel) else None


def is_countable(kernel: Kernel) -> bool:
    """Whether `macs_of` knows the operation."""
    return kernel.pointwise or kernel.is_view or kernel.name in _FREE or kernel.name in _RULES


def _convolution(operation: Operation) -> int:
    """Each output value sums over the input channels of its group and the taps of the kernel."""
    weight = operation.argument("weight")  # (C_out, C_in / groups, *kernel_size)
    return operation.result.numel() * math.prod(weight.shape[1:])


def _transposed_convolution(operation: Operation) -> int:
    """Each input value is spread over the output channels of its group and the taps of the kernel."""
    weight = operation.argument("weight")  # (C_in, C_out / groups, *kernel_size)
    return operation.argument("input").numel() * math.prod(weight.shape[1:])


def _any_convolution(operation: Operation) -> int:
    return _transposed_convolution(operation) if operation.argument("transposed") else _convolution(operation)


def _linear(operation: Operation) -> int:
    """(..., K) times (N, K) gives (..., N)."""
    return operation.result.numel() * operation.argument("weight").shape[-1]


def _bilinear(operation: Operation) -> int:
    """x1^T W x2 for each output: one product of the two inputs and one with the weight, summed over both."""
    weight = operation.argument("weight")  # (N, K1, K2)
    return operation.result.numel() * math.prod(weight.shape[1:])


def _product(first: int) -> Rule:
    """Matrix product whose left factor is argument number ``first``: every result sums over the left's last axis."""

    def rule(operation: Operation) -> int:
        left: Tensor = operation.args[first]
        return operation.result.numel() * left.shape[-1]

    return rule


def _sum_of_products(operation: Operation) -> int:
    """Products of a batch of matrices, added up."""
    batch, rows, inner = operation.args[1].shape
    return batch * rows * inner * operation.args[2].shape[-1]


def _attention(operation: Operation) -> int:
    """Q K^T has L x S sums over E, its product with V has L x E_v sums over S (Vaswani et al. 2017)."""
    query, key, value = (operation.argument(name) for name in ("query", "key", "value"))
    *batch, queries, _ = operation.result.shape
    return math.prod(batch) * queries * key.shape[-2] * (query.shape[-1] + value.shape[-1])


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed_convolution),
    **dict.fromkeys(("convolution", "_convolution"), _any_convolution),
    "torchvision::deform_conv2d": _convolution,
    "linear": _linear,
    "bilinear": _bilinear,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot", "vdot", "inner"), _product(0)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _product(1)),
    "addbmm": _sum_of_products,
    "scaled_dot_product_attention": _attention,
}

_FREE = frozenset(
    """
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d max_pool1d
        max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices
        fractional_max_pool2d fractional_max_pool3d max_unpool2d max_unpool3d batch_norm native_batch_norm
        _native_batch_norm_legit _native_batch_norm_legit_no_training instance_norm group_norm native_group_norm
        layer_norm native_layer_norm rms_norm _fused_rms_norm softmax _softmax log_softmax _log_softmax softmin
        logsumexp mean sum amax amin aminmax max min prod any all argmax argmin var std var_mean std_mean median
        nanmedian norm linalg_vector_norm cumsum cumprod cummax cummin _cummax_helper _cummin_helper topk sort
        argsort unique_dim nansum count_nonzero native_dropout glu _weight_norm_interface upsample_nearest1d
        upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
        _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
        _upsample_bilinear2d_aa _upsample_bicubic2d_aa grid_sampler grid_sampler_2d grid_sampler_3d
        affine_grid_generator pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col col2im
        unfold_copy cat stack hstack vstack dstack concat concatenate flip roll rot90 repeat repeat_interleave tile
        index index_select gather scatter scatter_add index_add index_put index_copy slice_scatter select_scatter
        masked_select masked_scatter take take_along_dim one_hot embedding constant_pad_nd pad reflection_pad1d
        reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d diag diagonal diag_embed
        meshgrid copy empty_like zeros_like ones_like full_like rand_like randn_like empty zeros ones full arange
        linspace rand randn randint randperm eye tril_indices triu_indices scalar_tensor new_zeros new_ones new_full
        new_empty empty_strided new_empty_strided fill zero normal uniform exponential set_
        """.split()
)
