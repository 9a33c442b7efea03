"""Borrow the caller's model for a pass and give it back as it was."""

import operator
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy

__all__ = ["borrowed", "check_model"]

#: What a module keeps its parts and hooks in, and what it may collect things in.
_CONTAINERS = (dict, list, set, OrderedDict)


def check_model(model: nn.Module) -> None:
    """Refuse what cannot be passed through.

    Raises:
        TypeError: not a module, or one compiled by TorchScript, whose attributes cannot be put back.
        ValueError: a lazy module that has not seen an input yet.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise TypeError(
            "model must be a Python module, got one compiled by TorchScript; pass the model it was made from"
        )
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise ValueError(
                f"{name!r} belongs to a lazy module and has no shape yet; run the model once on a real input first"
            )


@contextmanager
def borrowed(model: nn.Module, *, training: bool = False) -> Iterator[None]:
    """The model in evaluation (or training) mode; afterwards each module has the attributes it had before.

    The values of parameters and buffers need no protection here: a pass never writes into a tensor it did not make.
    Random numbers that a model draws leave the generator where it was.
    """
    before = []
    for module in model.modules():
        attributes = vars(module)
        containers = [(value, value.copy()) for value in attributes.values() if type(value) in _CONTAINERS]
        before.append((module, dict(attributes), containers))
        attributes["training"] = training
    try:
        with torch.random.fork_rng(devices=()):
            yield
    finally:
        for module, attributes, containers in before:
            for container, content in containers:
                _restore(container, content)
            _restore(vars(module), attributes)


def _restore(current: dict | list | set, content: dict | list | set) -> None:
    """Put the same objects back; they are compared by identity, not by value."""
    if isinstance(content, dict):
        same = all(map(operator.is_, content.values(), current.values()))
        same = same and list(current) == list(content)
    else:
        same = len(current) == len(content) and all(map(operator.is_, content, current))
    if not same:
        current.clear()
        current.extend(content) if isinstance(content, list) else current.update(content)
