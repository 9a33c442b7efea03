"""Library of the course *Pooling, Stride & CNN Design*.

`coursekit.trace` and `coursekit.receptive_field` are functions; they come from the modules of the same name, which are
loaded when one of them is first used, so that ``coursekit doctor`` answers where PyTorch is broken.
"""

import importlib
import sys
from types import ModuleType
from typing import Any

__version__ = "0.1.0"
__all__ = ["__version__", "receptive_field", "trace"]

_FUNCTIONS = ("receptive_field", "trace")


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"coursekit.{name}"), name)
    raise AttributeError(f"module 'coursekit' has no attribute {name!r}")


class _Package(ModuleType):
    """Importing a module of a package binds its name there; these two names stay bound to the functions."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FUNCTIONS and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
