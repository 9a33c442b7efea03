"""One int, or one int per axis: checking settings and spreading them over the axes."""

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

#: What every setting may be: one int for all axes, or one int per axis.
Axes: TypeAlias = int | tuple[int, ...]

_SMALLEST: Final = {"size": 1, "kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}


def integer(name: str, value: Any) -> int:
    """Give ``value`` as an int; NumPy integers pass, floats and booleans do not.

    Raises:
        TypeError: ``value`` is no integer.
    """
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an int, got {value!r} (a bool)")
    try:
        return operator.index(value)
    except TypeError:
        hint = "; divide sizes with //, which keeps them whole" if isinstance(value, float) else ""
        raise TypeError(f"{name} must be an int, got {value!r} (a {type(value).__name__}){hint}") from None


def is_one_per_axis(value: Any) -> bool:
    """Whether ``value`` lists one entry per axis: a tuple, a list or an array with at least one dimension."""
    if isinstance(value, str | bytes):
        return False
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) > 0


def wrong_length(name: str, value: Any, rank: int) -> ValueError:
    """The error for a setting whose entries do not match the axes."""
    axes = "1 axis" if rank == 1 else f"{rank} axes"
    return ValueError(f"{name} {value!r} has {len(value)} entries for {axes}; give one int, or one int per axis")


def on_each_axis(function: Callable[..., Any], **settings: Any) -> Any:
    """Call ``function`` once per axis with that axis's settings.

    Args:
        function: takes one int for each setting, by name.
        **settings: one int, or one int per axis, each. ``size`` decides how many axes there are; without a ``size``
            the longest setting does. As in PyTorch, a tuple of length one counts for every axis.

    Returns:
        What ``function`` gave: as it is if ``size`` (or, without a ``size``, every setting) is an int, else a tuple
        with one entry per axis.

    Raises:
        TypeError: a setting is no integer.
        ValueError: a setting is too small or has the wrong number of entries, or ``function`` refused; with several
            axes the message names the axis.
    """
    settings = {name: tuple(value) if is_one_per_axis(value) else value for name, value in settings.items()}
    deciding = [settings["size"]] if "size" in settings else settings.values()
    lengths = [len(value) for value in deciding if isinstance(value, tuple)]
    rank = max(lengths, default=1)
    columns = {name: _entries(name, value, rank) for name, value in settings.items()}
    results = []
    for axis in range(rank):
        try:
            results.append(function(**{name: column[axis] for name, column in columns.items()}))
        except ValueError as error:
            if rank == 1:
                raise
            raise ValueError(f"axis {axis}: {error}") from None
    return tuple(results) if lengths else results[0]


def _entries(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """``value`` as ``rank`` ints, none too small."""
    if isinstance(value, tuple):
        if not value or len(value) not in (1, rank):
            raise wrong_length(name, value, rank)
        numbers = tuple(integer(f"{name}[{axis}]", entry) for axis, entry in enumerate(value))
        numbers = numbers * rank if len(numbers) == 1 else numbers
    else:
        numbers = (integer(name, value),) * rank
    if min(numbers) < _SMALLEST[name]:
        raise ValueError(f"{name} must be at least {_SMALLEST[name]}, got {value!r}")
    return numbers
