"""Run a call in a process of its own.

Some peers patch torch's functions and, after an error, leave them patched; one would spoil the next. A forked copy of
this process has everything imported already, costs some milliseconds, and takes the damage with it when it ends. (It is
forked by hand: one of the peers refuses to work under `multiprocessing`.)
"""

import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Failed", "apart", "attempt"]


@dataclass(frozen=True)
class Failed:
    """Instead of a result: why there is none, in a line."""

    reason: str


def apart(call: Callable[[], Any], seconds: float = 100) -> Any:
    """The result of ``call()``, which must be picklable; `Failed` if it raised, died or took over ``seconds``."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(call, writer)
    os.close(writer)
    try:
        answer = _read(reader, time.monotonic() + seconds)
        if answer is None:
            os.kill(child, signal.SIGKILL)
            return Failed(f"no answer within {seconds:g} s")
        return pickle.loads(answer) if answer else Failed("its process died")
    finally:
        os.close(reader)
        os.waitpid(child, 0)


def attempt(call: Callable[[], Any]) -> Any:
    """The result of ``call()``, or `Failed` if it raised; in this process."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  peers raise what they like: it is their answer
        lines = str(error).strip().splitlines()
        return Failed(f"{type(error).__name__}: {lines[0][:100]}" if lines else type(error).__name__)


def _read(reader: int, deadline: float) -> bytes | None:
    """All that is written until the other end closes; None when time is up."""
    answer = b""
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        part = os.read(reader, 1 << 16)
        if not part:
            return answer
        answer += part


def _answer(call: Callable[[], Any], writer: int) -> None:
    """In the child: call, write what came of it, and end at once, without tidying up what belongs to the parent."""
    result = attempt(call)
    with os.fdopen(writer, "wb") as stream:
        pickle.dump(result, stream)
    os._exit(0)
