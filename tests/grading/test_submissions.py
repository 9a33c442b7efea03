"""Banks of answers are read without being executed, and land in the solution cells and nowhere else."""

from pathlib import Path

import nbformat
import pytest

from coursekit.grading.submissions import points_by_cell, read_answers, solutions, submission

GOOD = '''"""The root is missing."""

LOSES = ["test-a"]


# %% answer-a
def f():
    return 1


# %% answer-b
x = 2
'''


def _bank_file(folder: Path, text: str) -> Path:
    path = folder / "some-slip.py"
    path.write_text(text)
    return path


@pytest.fixture
def release() -> nbformat.NotebookNode:
    kinds = [
        ("answer-a", {"solution": True}),
        ("test-a", {"grade": True, "locked": True, "points": 3}),
        ("answer-b", {"solution": True}),
        ("given", {"locked": True}),
        ("written", {"grade": True, "solution": True, "points": 4}),
    ]
    cells = []
    for name, flags in kinds:
        cell = nbformat.v4.new_code_cell(f"# {name}", id=name)
        cell.metadata["nbgrader"] = {"grade": False, "solution": False, "locked": False, "grade_id": name} | flags
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=[*cells, nbformat.v4.new_markdown_cell("text")])


def test_a_bank_file_gives_its_sentence_its_losses_and_its_cells(tmp_path: Path) -> None:
    answers = read_answers(_bank_file(tmp_path, GOOD))
    assert answers.name == "some-slip"
    assert answers.about == "The root is missing."
    assert answers.loses == {"test-a"}
    assert answers.cells == {"answer-a": "def f():\n    return 1", "answer-b": "x = 2"}


def test_a_bank_file_is_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    text = GOOD + f"\nopen({str(trace)!r}, 'w')\n"
    assert "open(" in read_answers(_bank_file(tmp_path, text)).cells["answer-b"]
    assert not trace.exists()
    with pytest.raises(ValueError, match="malformed"):
        read_answers(_bank_file(tmp_path, GOOD.replace('["test-a"]', f"[open({str(trace)!r}, 'w').name]")))
    assert not trace.exists()


def test_an_answer_may_be_no_python_at_all(tmp_path: Path) -> None:
    answers = read_answers(_bank_file(tmp_path, GOOD + "def broken(:\n"))
    assert answers.cells["answer-b"].endswith("def broken(:")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD.replace('"""The root is missing."""', ""), "docstring and LOSES"),
        (GOOD.replace('LOSES = ["test-a"]', ""), "docstring and LOSES"),
        (GOOD.replace("LOSES", "import os\nLOSES"), "docstring and LOSES"),
        (GOOD.replace('["test-a"]', '"test-a"'), "must be a list of grade_ids"),
        (GOOD.replace('["test-a"]', '["test-a", "test-a"]'), "twice"),
        (GOOD.partition("# %%")[0], "must be a section"),
        (GOOD + "# %% answer-a\n", "may come once"),
    ],
)
def test_a_bank_file_with_a_fault_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_answers(_bank_file(tmp_path, text))


def test_answers_replace_solution_cells_of_a_copy_and_nothing_else(release: nbformat.NotebookNode) -> None:
    before = release.copy()
    handed_in = submission(release, {"answer-b": "y = 5", "written": "words"})
    assert release == before
    assert [cell.source for cell in handed_in.cells] == ["# answer-a", "# test-a", "y = 5", "# given", "words", "text"]


@pytest.mark.parametrize("grade_id", ["test-a", "given", "answer-c"])
def test_only_solution_cells_can_be_answered(release: nbformat.NotebookNode, grade_id: str) -> None:
    with pytest.raises(ValueError, match=f"must be one of answer-a, answer-b, written, got {grade_id}"):
        submission(release, {grade_id: "pass"})


def test_solutions_and_points_are_found_by_cell(release: nbformat.NotebookNode) -> None:
    assert list(solutions(release)) == ["answer-a", "answer-b", "written"]
    assert points_by_cell(release) == {"test-a": 3}
