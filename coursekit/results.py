"""Recorded runs: what took minutes to measure, with all that is needed to judge it and to make it again."""

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["Result", "load_result", "results_folder", "save_result"]


@dataclass(frozen=True)
class Result:
    """One recorded run; ``result["name of a figure"]`` gives an entry of ``figures``.

    Args:
        name: the run's name, as in ``coursekit record NAME``.
        command: the command that makes it again.
        date: day it was made, YYYY-MM-DD.
        hardware: processor or GPU, and how many cores were there.
        versions: version of each package that matters.
        data: what was trained and measured on, in words.
        seeds: seeds of the repetitions.
        settings: every other number that went in.
        figures: what came out.
        seconds: wall time of the whole run.
    """

    name: str
    command: str
    date: str
    hardware: str
    versions: dict[str, str]
    data: str
    seeds: list[int]
    settings: dict[str, Any]
    figures: dict[str, Any]
    seconds: float

    def __getitem__(self, figure: str) -> Any:
        if figure not in self.figures:
            raise KeyError(f"result {self.name!r} has no figure {figure!r}; it has {', '.join(self.figures)}")
        return self.figures[figure]

    def provenance(self) -> str:
        """Where the numbers come from, in one sentence for a caption."""
        day = date.fromisoformat(self.date)
        seeds = f"{len(self.seeds)} seed{'s' if len(self.seeds) != 1 else ''}"
        torch_version = self.versions.get("torch", "of unknown version")
        return (
            f"Recorded on {day.day} {day:%B %Y} with `{self.command}` ({self.data}; {seeds}; {self.hardware}; "
            f"PyTorch {torch_version}; {_duration(self.seconds)})."
        )


def results_folder() -> Path:
    """Folder of the recorded runs: ``COURSEKIT_RESULTS`` where it is set, else ``results/`` of the repository."""
    chosen = os.environ.get("COURSEKIT_RESULTS")
    return Path(chosen) if chosen else Path(__file__).resolve().parents[1] / "results"


def load_result(name: str, folder: Path | str | None = None) -> Result:
    """Reads the recorded run ``name``.

    Args:
        name: the run's name.
        folder: where to look; ``results_folder()`` by default.

    Raises:
        FileNotFoundError: it was never recorded; names the command that does it.
        ValueError: the name is no plain name, or the file is damaged; names the file and the command.
    """
    path = _path(name, folder)
    if not path.is_file():
        raise FileNotFoundError(f"there is no recorded run {path}; make it with: coursekit record {name}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); make it again with: coursekit record {name}") from error
    expected = {entry.name for entry in fields(Result)}
    found = set(content) if isinstance(content, dict) else set()
    if found != expected:
        raise ValueError(
            f"{path} is not a recorded run (missing: {sorted(expected - found)}, unknown: {sorted(found - expected)}); "
            f"make it again with: coursekit record {name}"
        )
    return Result(**content)


def save_result(result: Result, folder: Path | str | None = None) -> Path:
    """Writes ``result`` as ``NAME.json``; a reader sees the old file or the new one, never a part.

    Raises:
        ValueError: a figure is NaN or infinite, or the name is no plain name.
    """
    text = json.dumps(asdict(result), indent=1, allow_nan=False, ensure_ascii=False)
    path = _path(result.name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(_compact_numbers(text) + "\n", encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _path(name: str, folder: Path | str | None) -> Path:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"name must consist of small letters, digits, '-' and '_', got {name!r}")
    return (results_folder() if folder is None else Path(folder)) / f"{name}.json"


def _compact_numbers(text: str) -> str:
    """Puts lists of numbers on one line, so that a difference between two recordings can be read."""
    return re.sub(r"\[[\s\d.,eE+-]*\]", lambda match: f"[{' '.join(match[0][1:-1].split())}]", text)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
