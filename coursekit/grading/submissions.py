"""Puts answers into a release, as a student would: for the banks in ``tests/submissions/``.

A bank file is a Python file to be read by people. It is parsed, never executed, and holds only the answers that differ
from the instructor's::

    '''One sentence: what this student did.'''

    LOSES = ["test-lp-values", "test-lp-gradient"]


    # %% lp-pooling
    class LPPooling(nn.Module):
        ...

``LOSES`` names the test cells that must fail; all others must pass. Each ``# %% grade_id`` starts the whole new text of
one solution cell.
"""

import ast
import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

__all__ = ["Answers", "points_by_cell", "read_answers", "solutions", "submission"]

_SECTION = re.compile(r"^# %% (?P<grade_id>\S+)[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Answers:
    """One file of a bank.

    Args:
        name: the file's name without its suffix.
        about: its docstring.
        loses: ``grade_id`` of each test cell that must fail.
        cells: new text of solution cells by ``grade_id``.
    """

    name: str
    about: str
    loses: frozenset[str]
    cells: Mapping[str, str]


def read_answers(path: Path) -> Answers:
    """Reads a bank file without executing it.

    Raises:
        ValueError: the docstring, ``LOSES`` or the sections are missing, a section comes twice, or the head holds
            anything else.
        SyntaxError: the head is not Python. Sections may hold anything, as a student's answer may.
    """
    head, *parts = _SECTION.split(path.read_text(encoding="utf-8"))
    about, loses = _read_head(head, path.name)
    grade_ids, texts = parts[::2], parts[1::2]
    if not grade_ids:
        raise ValueError(f"{path.name}: there must be a section `# %% grade_id`")
    if len(set(grade_ids)) < len(grade_ids):
        raise ValueError(f"{path.name}: each solution cell may come once, got {', '.join(grade_ids)}")
    cells = {grade_id: text.strip("\n") for grade_id, text in zip(grade_ids, texts, strict=True)}
    return Answers(path.stem, about, loses, cells)


def solutions(source: NotebookNode) -> dict[str, str]:
    """The text of each solution cell of a notebook by ``grade_id``."""
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in source.cells if _kind(cell, "solution")}


def points_by_cell(notebook: NotebookNode) -> dict[str, int]:
    """The points of each test cell by ``grade_id``, in the order of the notebook, without written answers."""
    return {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.points
        for cell in notebook.cells
        if _kind(cell, "grade") and not _kind(cell, "solution")
    }


def submission(release: NotebookNode, cells: Mapping[str, str]) -> NotebookNode:
    """A copy of the release with the given texts in its solution cells.

    Raises:
        ValueError: the release has no solution cell of that ``grade_id``.
    """
    notebook = copy.deepcopy(release)
    open_cells = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if _kind(cell, "solution")}
    for grade_id, text in cells.items():
        if grade_id not in open_cells:
            raise ValueError(f"the solution cell must be one of {', '.join(open_cells)}, got {grade_id}")
        open_cells[grade_id].source = text
    return notebook


def _kind(cell: NotebookNode, key: str) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get(key, False))


def _read_head(head: str, name: str) -> tuple[str, frozenset[str]]:
    tree = ast.parse(head)
    about = ast.get_docstring(tree)
    match tree.body:
        case [ast.Expr(), ast.Assign(targets=[ast.Name(id="LOSES")], value=value)] if about:
            loses = ast.literal_eval(value)
        case _:
            raise ValueError(f"{name}: the head must hold a docstring and LOSES = [...], nothing else")
    if not isinstance(loses, list) or not all(isinstance(entry, str) for entry in loses):
        raise ValueError(f"{name}: LOSES must be a list of grade_ids, got {loses!r}")
    if len(set(loses)) < len(loses):
        raise ValueError(f"{name}: LOSES names a test cell twice: {loses!r}")
    return about, frozenset(loses)
