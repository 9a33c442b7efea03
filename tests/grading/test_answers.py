"""Every answer in the banks of ``tests/submissions/`` is graded as it deserves, by the test cells of its assignment.

The cells are run here, one after the other in one namespace, which takes a fraction of a second; that nbgrader comes to
the same result is shown in ``test_nbgrader.py``.
"""

import contextlib
import io
import re
import warnings
from pathlib import Path

import nbformat
import pytest

from coursekit.grading.submissions import Answers, points_by_cell, read_answers, submission

ROOT = Path(__file__).resolve().parents[2]
BANKS = ROOT / "tests" / "submissions"
SOURCES = {path.stem: nbformat.read(path, as_version=4) for path in sorted(ROOT.glob("solutions/*/*.ipynb"))}
RIGHT = [(path.parts[-3], read_answers(path)) for path in sorted(BANKS.glob("*/right/*.py"))]
WRONG = [(path.parts[-3], read_answers(path)) for path in sorted(BANKS.glob("*/wrong/*.py"))]


def _names(entries: list[tuple[str, Answers]]) -> list[str]:
    return [f"{assignment}: {answers.name}" for assignment, answers in entries]


def _errors(notebook: nbformat.NotebookNode) -> dict[str, Exception]:
    """Runs the cells that nbgrader knows, and gives the error of each test cell that fails."""
    points, names, errors = points_by_cell(notebook), {"__name__": "notebook"}, {}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for cell in notebook.cells:
            if cell.cell_type == "code" and "nbgrader" in cell.metadata:
                try:
                    exec(compile(cell.source, cell.id, "exec"), names)
                except Exception as error:  # noqa: BLE001  (whatever a student's code raises)
                    errors[cell.metadata.nbgrader.grade_id] = error
    return {name: error for name, error in errors.items() if name in points}


@pytest.mark.parametrize("assignment", SOURCES)
def test_the_reference_passes_every_test_cell(assignment: str) -> None:
    assert _errors(SOURCES[assignment]) == {}


@pytest.mark.parametrize("assignment", SOURCES)
def test_the_release_passes_no_test_cell(assignment: str) -> None:
    release = nbformat.read(ROOT / "exercises" / assignment / f"{assignment}.ipynb", as_version=4)
    errors = _errors(release)
    assert errors.keys() == points_by_cell(release).keys()
    assert {type(error) for error in errors.values()} == {NotImplementedError}


@pytest.mark.parametrize(("assignment", "answers"), RIGHT, ids=_names(RIGHT))
def test_a_right_answer_written_otherwise_passes(assignment: str, answers: Answers) -> None:
    assert answers.loses == frozenset()
    assert _errors(submission(SOURCES[assignment], answers.cells)) == {}


@pytest.mark.parametrize(("assignment", "answers"), WRONG, ids=_names(WRONG))
def test_a_wrong_answer_loses_exactly_what_it_breaks_and_is_told_why(assignment: str, answers: Answers) -> None:
    errors = _errors(submission(SOURCES[assignment], answers.cells))
    assert answers.loses
    assert errors.keys() == answers.loses
    for error in errors.values():
        # A sentence of the check, or what the student's own code ran into; never a fault in the check.
        assert isinstance(error, AssertionError | NotImplementedError | RuntimeError)
        assert isinstance(error, NotImplementedError) or len(str(error).split()) >= 5


@pytest.mark.parametrize("assignment", SOURCES)
def test_every_test_cell_is_lost_by_an_answer_that_is_wrong_in_one_place(assignment: str) -> None:
    slips = [answers.loses for name, answers in WRONG if name == assignment and len(answers.cells) == 1]
    assert len(slips) >= 14
    assert frozenset().union(*slips) == points_by_cell(SOURCES[assignment]).keys()


@pytest.mark.parametrize("assignment", SOURCES)
def test_points_are_those_of_the_table_in_the_notebook(assignment: str) -> None:
    notebook = SOURCES[assignment]
    points = points_by_cell(notebook)
    table = re.findall(r"^\| (\d) \|.*\| (\d+) \| *\d* *\|$", notebook.cells[0].source, re.MULTILINE)
    found = {task: 0 for task, _ in table}
    for cell in notebook.cells:
        if cell.id in points:
            task, worth = re.match(r"# Task (\d), (\d+) points?: ", cell.source).groups()
            assert int(worth) == points[cell.id]
            found[task] += int(worth)
    assert found == {task: int(worth) for task, worth in table}
    assert f"**{sum(points.values())}**" in notebook.cells[0].source
