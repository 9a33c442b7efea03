"""Makes the notebooks in ``exercises/`` from the sources in ``solutions/`` with nbgrader's own converter.

``python -m coursekit.grading.release`` writes them, with ``--check`` it says whether they are up to date. No gradebook
is read or written: a release depends on its source and on ``nbgrader_config.py``, on nothing else.
"""

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config, PyFileConfigLoader

__all__ = ["assignment_names", "differences", "generate", "update"]

CONFIG_NAME = "nbgrader_config.py"


def assignment_names(root: Path) -> list[str]:
    """The assignments under ``root``: folders of ``solutions/`` that hold a notebook of their own name, sorted.

    Raises:
        ValueError: a folder of ``solutions/`` has no notebook of its name.
    """
    names = sorted(path.name for path in (root / "solutions").iterdir() if path.is_dir())
    for name in names:
        if not (root / "solutions" / name / f"{name}.ipynb").is_file():
            raise ValueError(f"solutions/{name} must hold the notebook {name}.ipynb")
    return names


def generate(root: Path, target: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Writes releases below ``target``, one folder an assignment.

    Args:
        root: the course folder, with ``nbgrader_config.py`` and ``solutions/``.
        target: where the releases go; a release that is there already is replaced.
        names: the assignments; None is all of them.

    Returns:
        The folders written.

    Raises:
        FileNotFoundError: ``root`` has no ``nbgrader_config.py``.
        ValueError: there is no assignment of a given name.
        nbgrader.converters.NbGraderException: nbgrader refuses a source notebook.
    """
    known = assignment_names(root)
    names = known if names is None else list(names)
    for name in names:
        if name not in known:
            raise ValueError(f"the assignment must be one of {', '.join(known)}, got {name}")
        _generate_one(root, target, name)
    return [target / name for name in names]


def differences(root: Path, names: Iterable[str] | None = None) -> list[str]:
    """Says in words how ``exercises/`` differs from what the sources give; an empty list means not at all.

    Without ``names`` it also names releases that have no source.
    """
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        written = generate(root, fresh, names)
        if names is None:
            return _compare_folders(fresh, root / "exercises", "exercises")
        return [
            line
            for release in written
            for line in _compare_folders(release, root / "exercises" / release.name, f"exercises/{release.name}")
        ]


def update(root: Path, names: Iterable[str] | None = None) -> list[Path]:
    """Replaces the releases in ``exercises/``; returns the folders written."""
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for fresh in generate(root, Path(folder), names):
            target = root / "exercises" / fresh.name
            shutil.rmtree(target, ignore_errors=True)
            written.append(Path(shutil.copytree(fresh, target)))
    return written


def _generate_one(root: Path, target: Path, name: str) -> None:
    config = PyFileConfigLoader(CONFIG_NAME, path=str(root.resolve())).load_config()
    config.merge(
        Config(
            {
                "CourseDirectory": {
                    "root": str(root.resolve()),
                    "release_directory": str(target.resolve()),
                    "assignment_id": name,
                },
                "GenerateAssignment": {"no_database": True, "force": True},
                "SaveCells": {"enabled": False},
            }
        )
    )
    # nbgrader tells of every step; what a reader needs is in its errors.
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    GenerateAssignment(coursedir=CourseDirectory(config=config), config=config).start()


def _compare_folders(fresh: Path, checked_in: Path, label: str) -> list[str]:
    wanted, found = _files(fresh), _files(checked_in)
    lines = [f"{label}/{path} is missing" for path in sorted(wanted - found)]
    lines += [f"{label}/{path} has no source" for path in sorted(found - wanted)]
    lines += [
        f"{label}/{path} differs from its source"
        for path in sorted(wanted & found)
        if (fresh / path).read_bytes() != (checked_in / path).read_bytes()
    ]
    return lines


def _files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".ipynb_checkpoints" not in path.parts
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m coursekit.grading.release", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="assignment", help="which ones; by default all")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if exercises/ is out of date")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the course folder, by default this one")
    options = parser.parse_args(arguments)
    names = options.names or None
    if not options.check:
        for folder in update(options.root, names):
            print(f"wrote {folder.relative_to(options.root)}")
        return 0
    lines = differences(options.root, names)
    for line in lines:
        print(f"{line}; run `make exercises`", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
