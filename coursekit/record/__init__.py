"""``coursekit record NAME``: makes the recorded run ``results/NAME.json`` again.

An experiment is a function that measures and returns a :class:`Findings`; :func:`run` adds where and when it happened.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from coursekit.record import downsampling
from coursekit.record.provenance import Findings, describe_hardware, package_versions, today
from coursekit.results import Result, save_result

__all__ = ["Findings", "names", "run"]

_EXPERIMENTS: Final[dict[str, Callable[..., Findings]]] = {"downsampling": downsampling.measure}


def names() -> tuple[str, ...]:
    """Names of the experiments that can be recorded."""
    return tuple(_EXPERIMENTS)


def run(name: str, results_dir: Path | str | None = None, *, progress: bool = True, **settings: Any) -> Path:
    """Runs an experiment and saves what it found.

    Args:
        name: one of :func:`names`.
        results_dir: where to save; the repository's ``results/`` by default.
        progress: whether to show a progress bar.
        **settings: replace the experiment's own (smaller ones for a trial run); all of them land in the record.

    Returns:
        The file that was written.

    Raises:
        ValueError: there is no such experiment.
        TypeError: the experiment has no such setting.
    """
    if name not in _EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(_EXPERIMENTS)}, got {name!r}")
    start = time.perf_counter()
    found = _EXPERIMENTS[name](progress=progress, **settings)
    result = Result(
        name=name,
        command=_command(name, settings),
        date=today(),
        hardware=describe_hardware(found.device),
        versions=package_versions(),
        data=found.data,
        seeds=found.seeds,
        settings=found.settings,
        figures=found.figures,
        seconds=round(time.perf_counter() - start, 1),
    )
    return save_result(result, results_dir)


def _command(name: str, settings: dict[str, Any]) -> str:
    if not settings:
        return f"coursekit record {name}"
    changed = "".join(f", {key}={value!r}" for key, value in settings.items())
    return f"coursekit.record.run({name!r}{changed})"
