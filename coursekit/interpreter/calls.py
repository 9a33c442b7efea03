"""Which module is at work: a stack of calls, kept by PyTorch's hooks for all modules."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import _disable_current_modes

from coursekit.interpreter.operations import ModuleCall

__all__ = ["CallStack"]


class _Active(threading.local):
    """The stack that is kept in this thread."""

    calls: "CallStack | None" = None


_ACTIVE = _Active()


class CallStack:
    """The module calls in progress, innermost last.

    Nothing is attached to the model: the hooks hear of every module of the process and take notice of those that are
    called from this thread while the pass runs, and not by another pass inside it.

    Args:
        model: the model of the pass.
        enter: called with each `ModuleCall` as it begins.
        leave: called with each `ModuleCall` and its output as it ends.
    """

    def __init__(
        self, model: nn.Module, enter: Callable[[ModuleCall], None], leave: Callable[[ModuleCall, Any], None]
    ) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._enter = enter
        self._leave = leave
        self._stack: list[ModuleCall] = []
        self._root: ModuleCall
        self._count = 0

    @property
    def current(self) -> ModuleCall:
        """The innermost call; the last one that was in progress once the pass has failed.

        Once the model has returned, its own forward hooks are at work.
        """
        return self._stack[-1] if self._stack else self._root

    def __bool__(self) -> bool:
        return bool(self._stack)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep the stack up to date while the block runs."""
        before = register_module_forward_pre_hook(self._begin)
        after = register_module_forward_hook(self._end)
        outer, _ACTIVE.calls = _ACTIVE.calls, self
        try:
            # A model may trace another one in its forward: the pass around it hears nothing of that.
            with _disable_current_modes():
                yield
        finally:
            _ACTIVE.calls = outer
            before.remove()
            after.remove()

    def _begin(self, module: nn.Module, _inputs: Any) -> None:
        if _ACTIVE.calls is not self:
            return
        name = self._names.get(id(module), f"[{type(module).__name__}]")
        call = ModuleCall(name, module, self._stack[-1] if self._stack else None, self._count)
        self._count += 1
        if not self._stack:
            self._root = call
        self._stack.append(call)
        self._enter(call)

    def _end(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        if _ACTIVE.calls is not self:
            return
        # A module that raised inside a `try` of its parent leaves its calls behind.
        while self._stack[-1].module is not module:
            self._stack.pop()
        self._leave(self._stack.pop(), output)
