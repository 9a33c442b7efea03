"""Trained weights from files, also from those of other people.

Most implementations of CIFAR ResNets agree on the names of layers and differ in the wrapping: a dictionary around the
weights, ``module.`` before each name (saved from ``nn.DataParallel``), ``fc`` for ``linear``, ``downsample`` for
``shortcut``. :func:`load_checkpoint` takes that off and is strict about the rest.
"""

import os
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["load_checkpoint"]

Model = TypeVar("Model", bound=nn.Module)

#: Keys under which training scripts file the weights beside epoch, accuracy and optimiser.
WRAPPERS: Final = ("state_dict", "model", "net")
#: Names of the same layer: what others call it, and what it is called here.
SYNONYMS: Final = (("fc", "linear"), ("downsample", "shortcut"))
#: Layers that an error message lists before it only counts.
LISTED: Final = 6


def load_checkpoint(model: Model, path_or_state_dict: str | os.PathLike[str] | Mapping[str, Any]) -> Model:
    """Copy weights into a model: all of them, or none.

    Files are read with ``weights_only=True``: they give tensors, and no code of theirs is run.

    Args:
        model: takes the weights, and keeps its device, data type and mode.
        path_or_state_dict: a file written by ``torch.save``, or what was in it: tensors by name, possibly under the key
            ``"state_dict"``, ``"model"`` or ``"net"``, and with ``module.`` before each name.

    Returns:
        The model itself.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: neither a path nor a dictionary.
        ValueError: the file holds more than tensors or none at all; or names or shapes differ from the model's. Then it
            says which layers are missing, unexpected or of another shape, and which depth the checkpoint seems to have.
            The model is unchanged.
    """
    if isinstance(path_or_state_dict, str | os.PathLike):
        content = _read(Path(path_or_state_dict))
    else:
        content = path_or_state_dict
    if not isinstance(content, Mapping):
        raise TypeError(f"a checkpoint is a path or a dictionary of tensors, got {type(content).__name__}")
    ours = model.state_dict()
    theirs = _rename(_unwrap(content), ours)
    _complete_counters(theirs, ours)
    problems = _differences(theirs, ours)
    if problems:
        raise ValueError(f"the checkpoint does not fit {type(model).__name__}: " + "; ".join(problems))
    model.load_state_dict(theirs)
    return model


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is no file of tensors only, and what else is in it is not run; "
            "whoever trusts it can load it and save its state_dict() anew"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is not a file that torch.save wrote: {error}") from error


def _unwrap(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors by name, out of their wrapping."""
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    others = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if others or not content:
        found = f"{others[0]!r} holds {type(content[others[0]]).__name__}" if others else "it is empty"
        keys = ", ".join(map(repr, WRAPPERS))
        raise ValueError(f"a checkpoint holds tensors by name, at the top or under one of {keys}, but {found}")
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name.removeprefix(prefix): value for name, value in content.items()}


def _rename(theirs: dict[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Replace a synonym where only the other word is known to the model."""
    known = _words(ours)
    words = {other: word for other, word in SYNONYMS if other not in known and word in known}
    return {".".join(words.get(part, part) for part in name.split(".")): value for name, value in theirs.items()}


def _words(names: Iterable[str]) -> set[str]:
    return {part for name in names for part in name.split(".")}


def _complete_counters(theirs: dict[str, Tensor], ours: Mapping[str, Tensor]) -> None:
    """Before PyTorch 0.4.1, batch normalisation did not count its batches; the count plays no part in evaluation."""
    for name, value in ours.items():
        layer, _, leaf = name.rpartition(".")
        if leaf == "num_batches_tracked" and f"{layer}.running_mean" in theirs:
            theirs.setdefault(name, torch.zeros_like(value, device="cpu"))


def _differences(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> list[str]:
    """What keeps the weights from fitting, in sentences; empty when they do."""
    problems = []
    missing = [name for name in ours if name not in theirs]
    unexpected = [name for name in theirs if name not in ours]
    if missing:
        problems.append(f"missing {_layers(missing)}")
    if unexpected:
        problems.append(f"unexpected {_layers(unexpected)}")
    shapes = [name for name in ours if name in theirs and theirs[name].shape != ours[name].shape]
    if shapes:
        described = [f"{name} is {_shape(theirs[name])}, not {_shape(ours[name])}" for name in shapes[:LISTED]]
        problems.append(", ".join(described) + _rest(shapes))
    depths = _depth(theirs), _depth(ours)
    if problems and depths[0] is not None and depths[0] != depths[1]:
        wanted = f", the model {depths[1]}" if depths[1] is not None else ""
        problems.append(f"the checkpoint seems to have {depths[0]}{wanted}")
    return problems


def _layers(names: list[str]) -> str:
    """Layers instead of tensors: weight, bias and statistics of one layer are one entry."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] or name for name in names))
    return ", ".join(layers[:LISTED]) + _rest(layers)


def _rest(items: list[str]) -> str:
    return f" and {len(items) - LISTED} more" if len(items) > LISTED else ""


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def _depth(names: Iterable[str]) -> str | None:
    """Depth by the names of layers, counted as in the papers: "depth 20 (3 + 3 + 3 blocks)".

    First convolution, linear layer and the convolutions on the branches; in wide ResNets, which have a projection in a
    first block of two convolutions, the three projections count and the linear layer does not.
    """
    blocks: dict[int, set[int]] = {}
    convolutions = set()
    projects_at_once = False
    for name in names:
        found = re.fullmatch(r"layer(\d+)\.(\d+)\.(\w+)\..*", name)
        if found is None:
            continue
        stage, block, part = int(found[1]), int(found[2]), found[3]
        blocks.setdefault(stage, set()).add(block)
        if re.fullmatch(r"conv\d+", part):
            convolutions.add((stage, block, part))
        projects_at_once |= (stage, block, part) == (1, 0, "shortcut")
    if not convolutions:
        return None
    numbers = [len(blocks[stage]) for stage in sorted(blocks)]
    wide = projects_at_once and len(convolutions) == 2 * sum(numbers)
    return f"depth {len(convolutions) + (4 if wide else 2)} ({' + '.join(map(str, numbers))} blocks)"
