"""Find a network by what a person types: a name of the course's list, or ``module:function``."""

import importlib
import sys
from pathlib import Path

import torch
from torch import nn

from coursekit.models import build

__all__ = ["load_model"]


def load_model(text: str, *, in_channels: int = 3, numbers: bool = True) -> nn.Module:
    """A network from its name.

    Args:
        text: a name of `coursekit.models.list_models`, such as ``resnet50``; or ``package.module:name``, where name is
            a module class or a function that can be called without arguments, or a network. Modules in the current
            folder are found.

        in_channels: channels of the input of a network of the list; one of yours says so itself.
        numbers: False makes a network of the list without numbers in its parameters, which costs no memory and no time.

    Raises:
        ValueError: no such name, no such module, or what it names is no network; says which.
    """
    if ":" not in text:
        with torch.device("cpu" if numbers else "meta"):
            return build(text, in_channels=in_channels)
    place, _, name = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is missing
        raise ValueError(f"no module is called {place!r}, seen from {here}") from error
    if not hasattr(module, name):
        raise ValueError(f"module {place!r} has no {name!r}")
    found = getattr(module, name)
    model = found if isinstance(found, nn.Module) or not callable(found) else found()
    if not isinstance(model, nn.Module):
        raise ValueError(f"{text} is no network but {type(model).__name__}")
    return model
