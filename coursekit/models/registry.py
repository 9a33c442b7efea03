"""One list of all networks, and one function that builds any of them by name.

A builder is a function that returns a network, marked with :func:`register`; its name is the network's name:

    @register
    def resnet18(*, num_classes: int = 1000, in_channels: int = 3, ...) -> ResNet: ...
"""

import difflib
import inspect
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final, TypeVar

from torch import nn

__all__ = ["build", "list_models", "register"]

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])

_BUILDERS: Final[dict[str, Callable[..., nn.Module]]] = {}


def build(
    name: str, *, num_classes: int | None = None, in_channels: int = 3, weights: str | None = None, **settings: Any
) -> nn.Module:
    """The network of this name.

    ``build("resnet50", num_classes=10)`` is ``resnet50(num_classes=10)``: what is not given keeps the builder's own
    default.

    Args:
        name: one of :func:`list_models`.
        num_classes: number of outputs; by default that of the network's data set, 1000 for ImageNet and 10 for CIFAR.
        in_channels: channels of the input images.
        weights: name of trained weights, for builders that have any; by default the network starts untrained.
        **settings: further settings of this builder, such as ``zero_init_residual`` of the ResNets.

    Returns:
        A new network, in training mode.

    Raises:
        TypeError: a setting that this builder does not have; names those that it has.
        ValueError: no network has this name; suggests the nearest. Or the builder refuses a value.
    """
    builder = _find(name)
    if num_classes is not None:
        settings["num_classes"] = num_classes
    if in_channels != 3:
        settings["in_channels"] = in_channels
    if weights is not None:
        settings["weights"] = weights
    known = inspect.signature(builder).parameters
    unknown = [setting for setting in settings if setting not in known]
    if unknown:
        raise TypeError(f"{name} has no setting {', '.join(unknown)}; its settings are {', '.join(known)}")
    return builder(**settings)


def list_models(pattern: str | None = None) -> list[str]:
    """Names of all networks, or of those that fit a pattern.

    Args:
        pattern: shell-style, such as ``"resnet*"`` or ``"*_bn"``; upper and lower case differ.

    Returns:
        The names in alphabetical order, numbers by their value: resnet18, resnet34, resnet101.
    """
    names = (name for name in _BUILDERS if pattern is None or fnmatchcase(name, pattern))
    return sorted(names, key=_natural_order)


def register(builder: Builder) -> Builder:
    """Decorator: enter a builder in the list under its own name.

    Raises:
        ValueError: another module has registered this name already.
    """
    name = builder.__name__
    other = _BUILDERS.get(name)
    if other is not None and other.__module__ != builder.__module__:  # the same module again: it was reloaded
        raise ValueError(f"{builder.__module__} registers {name}, which {other.__module__} has registered already")
    _BUILDERS[name] = builder
    return builder


def _find(name: str) -> Callable[..., nn.Module]:
    if not isinstance(name, str):
        raise TypeError(f"name must be a string such as 'resnet50', got {name!r}")
    if name not in _BUILDERS:
        nearest = difflib.get_close_matches(name.lower().replace("-", "_"), _BUILDERS, n=3)
        suggestion = f"did you mean {' or '.join(nearest)}? " if nearest else ""
        raise ValueError(f"no network is called {name!r}; {suggestion}list_models() names all of them")
    return _BUILDERS[name]


def _natural_order(name: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
