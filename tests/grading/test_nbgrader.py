"""Assignment 1 through stock nbgrader: released, validated, handed in by a class, graded in one run, given back.

The tests read the gradebook and the feedback of a course in a temporary folder.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbgrader.api import Gradebook

from coursekit.grading.submissions import Answers, points_by_cell, read_answers, solutions, submission

ROOT = Path(__file__).resolve().parents[2]
NAME = "ps1-pooling"
SOURCE = ROOT / "solutions" / NAME / f"{NAME}.ipynb"
RELEASE = ROOT / "exercises" / NAME / f"{NAME}.ipynb"
BANK = ROOT / "tests" / "submissions" / NAME
POINTS = points_by_cell(nbformat.read(SOURCE, as_version=4))
COMPARISON = ("edge-maps", "poolings", "comparison-table", "show-table", "plot")  # without points
# A kernel for each student takes seconds; all wrong answers are graded in test_answers.py, these by nbgrader as well.
SLIPS = (
    "lp-ignores-the-stride",
    "lp-in-float32",
    "lp-with-nan-gradient",
    "lp-with-the-sum",
    "lp-without-infinity",
    "lp-without-the-absolute-value",
    "lp-without-the-root",
    "mixed-averages-all-channels",
    "mixed-with-alpha-swapped",
    "output-size-rounds-up",
    "relative-change-divides-by-after",
    "stochastic-draws-in-evaluation",
    "stochastic-never-draws",
    "stochastic-same-draw-in-all-channels",
    "stochastic-takes-the-largest",
    "stochastic-with-softmax",
    "windows-by-reshape",
    "windows-column-by-column",
    "windows-cut-off-from-the-gradient",
)
WRONG = [read_answers(BANK / "wrong" / f"{slip}.py") for slip in SLIPS]
RIGHT = [read_answers(path) for path in sorted((BANK / "right").glob("*.py"))]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nbgrader")]


@dataclass(frozen=True)
class Course:
    """A course after grading: its folder, and the score of each cell by student."""

    root: Path
    scores: Mapping[str, Mapping[str, float | None]]

    def graded(self, student: str) -> nbformat.NotebookNode:
        """The notebook of a student with the outputs of grading."""
        return nbformat.read(self.root / "autograded" / student / NAME / f"{NAME}.ipynb", as_version=4)


def _nbgrader(root: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | {
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        # nbgrader starts alembic by its name, as in an activated environment.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "IPYTHONDIR": str(root / ".ipython"),
        "JUPYTER_RUNTIME_DIR": str(root / ".jupyter"),
    }
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _hand_in(root: Path, student: str, notebook: nbformat.NotebookNode) -> None:
    folder = root / "submitted" / student / NAME
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{NAME}.ipynb")


def _read_scores(root: Path) -> dict[str, dict[str, float | None]]:
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}", "cnn-design") as gradebook:
        return {
            handed_in.student_id: {grade.name: grade.auto_score for grade in handed_in.notebooks[0].grades}
            for handed_in in gradebook.assignment_submissions(NAME)
        }


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    root = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    shutil.copytree(SOURCE.parent, root / "solutions" / NAME)
    shutil.copytree(RELEASE.parent, root / "exercises" / NAME)
    # --force, since the release is there: nbgrader makes it again and writes the gradebook.
    _nbgrader(root, "generate_assignment", NAME, "--force")
    release = nbformat.read(root / "exercises" / NAME / f"{NAME}.ipynb", as_version=4)
    reference = solutions(nbformat.read(SOURCE, as_version=4))
    _hand_in(root, "reference", submission(release, reference))
    _hand_in(root, "release", release)
    for answers in WRONG + RIGHT:
        notebook = submission(release, reference | answers.cells)
        # Without the comparison, and its imports, a notebook takes half the time.
        notebook.cells = [cell for cell in notebook.cells if cell.id not in COMPARISON]
        _hand_in(root, answers.name, notebook)
    _nbgrader(root, "autograde", NAME)
    _nbgrader(root, "generate_feedback", NAME)
    return Course(root, _read_scores(root))


def _lost(course: Course, student: str) -> frozenset[str]:
    scores = course.scores[student]
    for grade_id, points in POINTS.items():
        assert scores[grade_id] in (0, points)
    return frozenset(grade_id for grade_id in POINTS if scores[grade_id] == 0)


def test_nbgrader_with_a_gradebook_gives_the_release_that_is_checked_in(course: Course) -> None:
    assert (course.root / "exercises" / NAME / f"{NAME}.ipynb").read_bytes() == RELEASE.read_bytes()


def test_the_reference_gets_full_marks(course: Course) -> None:
    assert course.scores["reference"] == POINTS | {"written-decision": None}  # a person gives these points
    assert sum(POINTS.values()) == 36


def test_the_reference_runs_without_any_error(course: Course) -> None:
    outputs = [output for cell in course.graded("reference").cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_the_release_gets_nothing(course: Course) -> None:
    assert course.scores["release"] == dict.fromkeys([*POINTS, "written-decision"], 0)


@pytest.mark.parametrize("answers", WRONG, ids=lambda answers: answers.name)
def test_a_wrong_answer_loses_exactly_what_it_breaks(course: Course, answers: Answers) -> None:
    assert _lost(course, answers.name) == answers.loses


@pytest.mark.parametrize("answers", RIGHT, ids=lambda answers: answers.name)
def test_a_right_answer_written_otherwise_gets_full_marks(course: Course, answers: Answers) -> None:
    assert _lost(course, answers.name) == frozenset()


def test_everyone_gets_feedback_with_the_sentence(course: Course) -> None:
    for student in course.scores:
        page = (course.root / "feedback" / student / NAME / f"{NAME}.html").read_text(encoding="utf-8")
        assert "Score" in page
        assert ("The p-th root is missing." in _text(page, "AssertionError")) == (student == "lp-without-the-root")


def _text(page: str, start: str) -> str:
    """What follows each error's name: the sentences, without the source of the checks that hold them as well."""
    plain = re.sub(r"<[^>]+>", "", page)
    return "\n".join(part[:400] for part in plain.split(f"\n{start}")[1:])


def test_the_table_of_the_reference_bears_out_its_written_answer(course: Course) -> None:
    cell = next(cell for cell in course.graded("reference").cells if cell.id == "show-table")
    html = next(output["data"]["text/html"] for output in cell.outputs if "text/html" in output.get("data", {}))
    rows = re.findall(r"<th>([^<]+)</th>\s+" + r"<td>([-\d.]+)</td>\s+" * 4, html)
    ratio = {name: float(values[-1]) for name, *values in rows}
    tear = {name: float(values[1]) for name, *values in rows}
    assert max(ratio, key=ratio.get) == "L2"
    assert 1.1 < ratio["L2"] < 1.35
    assert ratio["average"] < 0.5
    assert max(tear, key=tear.get) == "maximum"


def test_validate_accepts_the_source_and_a_finished_notebook(course: Course) -> None:
    assert "Success" in _nbgrader(course.root, "validate", f"solutions/{NAME}/{NAME}.ipynb")
    assert "Success" in _nbgrader(course.root, "validate", f"submitted/reference/{NAME}/{NAME}.ipynb")


def test_validate_refuses_the_release(course: Course) -> None:
    report = _nbgrader(course.root, "validate", f"exercises/{NAME}/{NAME}.ipynb")
    assert f"VALIDATION FAILED ON {len(POINTS) + 1} CELL(S)" in report  # the written answer is missing as well
    assert "NotImplementedError" in report


def test_validate_tells_a_student_about_a_slip_in_words(course: Course) -> None:
    report = _nbgrader(course.root, "validate", f"submitted/mixed-with-alpha-swapped/{NAME}/{NAME}.ipynb")
    assert "VALIDATION FAILED ON 2 CELL(S)" in report
    assert "alpha is the share of the maximum, not of the average." in report
    assert "it should be 3.75, it is 5.25" in report
