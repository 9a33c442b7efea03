"""Releases come from their sources, hold nothing that a student must not see, and leave no trace behind."""

import json
import shutil
from pathlib import Path

import nbformat
import pytest

from coursekit.grading import release

ROOT = Path(__file__).resolve().parents[2]
NAMES = release.assignment_names(ROOT)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course with one small assignment and its release."""
    source = tmp_path / "solutions" / "ps0-small"
    source.mkdir(parents=True)
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    answer = nbformat.v4.new_code_cell(
        "def f():\n    ### BEGIN SOLUTION\n    return 41 + 1\n    ### END SOLUTION", id="answer"
    )
    answer.metadata["nbgrader"] = _metadata("answer", solution=True)
    test = nbformat.v4.new_code_cell(
        "assert f() > 0\n### BEGIN HIDDEN TESTS\nassert f() == 42\n### END HIDDEN TESTS", id="test"
    )
    test.metadata["nbgrader"] = _metadata("test", grade=True, locked=True, points=1)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[answer, test], metadata={"kernelspec": kernel})
    nbformat.write(notebook, source / "ps0-small.ipynb")
    (source / "belt.csv").write_text("a,b\n1,2\n")
    release.update(tmp_path)
    return tmp_path


def _metadata(grade_id: str, **flags: bool | int) -> dict[str, object]:
    off = {"grade": False, "solution": False, "locked": False, "task": False}
    return off | {"grade_id": grade_id, "schema_version": 3} | flags


def test_there_are_assignments() -> None:
    assert "ps1-pooling" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_checked_in_release_is_what_the_source_gives_byte_for_byte(name: str) -> None:
    assert release.differences(ROOT, [name]) == []


def test_every_checked_in_release_has_a_source() -> None:
    assert sorted(path.name for path in (ROOT / "exercises").iterdir() if path.is_dir()) == NAMES


def test_up_to_date_release_passes_the_check(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["--check", "--root", str(course)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda folder: _replace(folder / "ps0-small.ipynb", "f() > 0", "f() >= 0"), "differs from its source"),
        (lambda folder: _replace(folder / "ps0-small.ipynb", "raise NotImplementedError", "return 42"), "differs"),
        (lambda folder: (folder / "belt.csv").unlink(), "belt.csv is missing"),
        (lambda folder: (folder / "notes.txt").write_text("x"), "notes.txt has no source"),
    ],
)
def test_edited_release_is_noticed_and_mended(course, edit, sentence, capsys) -> None:
    edit(course / "exercises" / "ps0-small")
    assert any(sentence in line for line in release.differences(course))
    assert any(sentence in line for line in release.differences(course, ["ps0-small"]))
    assert release.main(["--check", "--root", str(course)]) == 1
    assert sentence in capsys.readouterr().err
    assert release.main(["--root", str(course)]) == 0
    assert release.differences(course) == []


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_edited_source_is_noticed(course: Path) -> None:
    _replace(course / "solutions/ps0-small/ps0-small.ipynb", "f() > 0", "f() > 1")
    assert release.differences(course) == ["exercises/ps0-small/ps0-small.ipynb differs from its source"]


def test_release_without_source_is_noticed(course: Path) -> None:
    (course / "exercises/ps9-old").mkdir()
    (course / "exercises/ps9-old/ps9-old.ipynb").write_text("{}")
    assert release.differences(course) == ["exercises/ps9-old/ps9-old.ipynb has no source"]


def test_generating_leaves_no_gradebook_and_touches_no_other_file(course: Path, tmp_path_factory) -> None:
    before = {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}
    target = tmp_path_factory.mktemp("releases")
    release.generate(course, target)
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before
    assert {path.name for path in target.rglob("*") if path.is_file()} == {"ps0-small.ipynb", "belt.csv"}


def test_unknown_assignment_is_refused_by_name(course: Path) -> None:
    with pytest.raises(ValueError, match="must be one of ps0-small, got ps7"):
        release.update(course, ["ps7"])


def test_folder_without_its_notebook_is_refused(course: Path) -> None:
    (course / "solutions/ps2-empty").mkdir()
    with pytest.raises(ValueError, match=r"solutions/ps2-empty must hold the notebook ps2-empty\.ipynb"):
        release.update(course)


@pytest.mark.parametrize("name", NAMES)
def test_release_holds_no_solution_and_no_hidden_test(name: str) -> None:
    source = nbformat.read(ROOT / "solutions" / name / f"{name}.ipynb", as_version=4)
    released = (ROOT / "exercises" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    parts = [_split(cell) for cell in source.cells]
    visible = {line for part, _ in parts for line in part}
    secret = {line for _, part in parts for line in part} - visible
    assert len(secret) > 50
    lines = {line.strip() for cell in json.loads(released)["cells"] for line in "".join(cell["source"]).split("\n")}
    assert not secret & lines
    for marker in ("BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS"):
        assert marker not in released


def _split(cell: nbformat.NotebookNode) -> tuple[list[str], list[str]]:
    """The lines that a student may see, and those that not."""
    lines = [line.strip() for line in cell.source.split("\n")]
    if cell.cell_type == "markdown":
        return ([], lines) if cell.metadata.get("nbgrader", {}).get("solution") else (lines, [])
    visible, secret, hidden = [], [], False
    for line in lines:
        hidden = hidden and not line.startswith("### END")
        (secret if hidden else visible).append(line)
        hidden = hidden or line.startswith("### BEGIN")
    return visible, secret


@pytest.mark.parametrize("folder", ["solutions", "exercises"])
@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_stored_clean(folder: str, name: str) -> None:
    path = ROOT / folder / name / f"{name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        # A cell's own name is its id in both notebooks, whatever wrote the file.
        assert cell["metadata"].get("nbgrader", {}).get("grade_id", cell["id"]) == cell["id"]
