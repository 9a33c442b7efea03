"""The strictness and the freshness of the build, on small books that are really built."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from course_access import alt_problem, mend_html
from course_fresh import execution_fingerprint, page_fingerprint

ROOT = Path(__file__).parents[2]
CELL = "```{{code-cell}} ipython3\n{}\n```\n"
FRONT_MATTER = "---\njupytext:\n  text_representation: {extension: .md, format_name: myst}\n"
FRONT_MATTER += "kernelspec: {display_name: Python 3, language: python, name: python3}\n---\n"
PICTURE = "import matplotlib.pyplot as plt; _ = plt.figure(figsize=(1, 1)); _ = plt.plot([1, 2]); plt.show()"


class Book:
    """A small book with the settings and extensions of the real one."""

    def __init__(self, root: Path) -> None:
        self.root, self.html = root, root / "_build" / "html"
        for name in ("_ext", "_static"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "_config.yml", root)
        for name in ("_extra", "coursekit", "results", "data"):
            (root / name).mkdir()
        self.write("requirements.txt", "torch\n")
        self.write(
            "references.bib", "@book{knuth, author={Donald Knuth}, title={The Art}, publisher={A}, year={1968}}\n"
        )
        self.page("intro", "# Start\n\nText.\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def page(self, name: str, text: str) -> None:
        """Write a page and put it into the table of contents."""
        self.write(f"{name}.md", FRONT_MATTER + text if "{code-cell}" in text else text)  # a kernel takes a second
        self.contents(sorted(path.stem for path in self.root.glob("*.md") if path.stem != "intro"))

    def contents(self, names: list[str]) -> None:
        chapters = "".join(f"\n- file: {name}" for name in names)
        self.write("_toc.yml", "format: jb-book\nroot: intro\n" + (f"chapters:{chapters}\n" if names else ""))

    def cell(self, name: str, code: str) -> None:
        """Write a page with one cell that counts how often it is executed."""
        count = f"from pathlib import Path\nwith Path('{name}.runs').open('a') as file:\n    _ = file.write('x')"
        self.page(name, f"# {name}\n\n" + CELL.format(f"{count}\n{code}"))

    def runs(self, name: str) -> int:
        return len((self.root / f"{name}.runs").read_text(encoding="utf-8"))

    def build(self, *, succeeds: bool) -> str:
        """Build as a reader of the README does; returns what was printed, without colours."""
        folders = {"COURSEKIT_DATA": str(self.root / "data"), "COURSEKIT_RESULTS": str(self.root / "results")}
        environment = os.environ | folders | {"PYTHONPATH": ""}
        command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        printed = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        assert (done.returncode == 0) == succeeds, printed[-4000:]
        return printed

    def shown(self, name: str) -> str:
        return (self.html / f"{name}.html").read_text(encoding="utf-8")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path)


# --- strictness ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_warning_fails_every_build_until_it_is_mended(book: Book) -> None:
    book.page("one", "# One\n\nSee {ref}`nowhere`.\n")
    assert "undefined label: 'nowhere'" in book.build(succeeds=False)
    assert "undefined label: 'nowhere'" in book.build(succeeds=False)
    book.page("one", "# One\n\nSee nothing.\n")
    assert "WARNING: " not in book.build(succeeds=True)


@pytest.mark.slow
def test_every_fault_of_every_page_is_listed(book: Book) -> None:
    book.page(
        "one",
        "# One\n\n{ref}`no-label` {doc}`no-page` {eq}`no-equation` {numref}`no-figure` [x](no-file.md) [x](#no-anchor)"
        " {cite:p}`nobody` {nonsense}`role` ![A picture that is not there at all](no-image.png)\n\n### Deep\n",
    )
    book.page("two", "# Two\n\n" + CELL.format(PICTURE) + "\n```{nonsense}\n```\n")
    printed = book.build(succeeds=False)
    for name in ("label", "page", "equation", "figure", "file.md", "anchor", "image.png"):
        assert re.search(rf"one\.md.*WARNING.*no-{name}", printed), name
    for fault in (
        'could not find bibtex key "nobody"',
        "Unknown interpreted text role",
        "Non-consecutive header level",
    ):
        assert fault in printed
    assert re.search(r"two\.md.*WARNING.*has no alt text", printed)
    assert re.search(r"two\.md.*WARNING.*Unknown directive type: 'nonsense'", printed)


@pytest.mark.slow
def test_a_reference_that_another_page_kills_fails(book: Book) -> None:
    book.page("one", "# One\n\nSee {ref}`there`.\n")
    book.page("two", "(there)=\n# Two\n")
    book.build(succeeds=True)
    book.page("two", "# Two\n")
    assert re.search(r"one\.md.*undefined label: 'there'", book.build(succeeds=False))
    assert re.search(r"one\.md.*undefined label: 'there'", book.build(succeeds=False))


@pytest.mark.slow
def test_a_cell_error_fails_every_build_and_names_page_and_cell(book: Book) -> None:
    book.page("one", "# One\n\n" + CELL.format("x = 1") + CELL.format("print('before')\n1 / (x - 1)"))
    for _ in range(2):
        printed = book.build(succeeds=False)
        assert re.search(r"one\.md.*Executing notebook failed", printed)
        assert "ZeroDivisionError: division by zero" in printed
        assert "In[2], line 2" in printed
        last = printed.strip().rsplit("\none.md: ", 1)[1]
        assert last.endswith("ZeroDivisionError: division by zero\nThe page was not built."), "the cause comes last"


@pytest.mark.slow
def test_a_build_that_was_interrupted_proves_nothing(book: Book) -> None:
    book.page("one", "# One\n\n### Deep\n")  # a fault that is seen when the page is read, not when it is written
    # Ends the process after the pages were read and stored, before one of them was written.
    stop = "app.connect('write-started', lambda *_: os.path.exists('power-cut') and os._exit(9))"
    book.write("_ext/course_stop.py", f"import os\ndef setup(app):\n    {stop}\n")
    settings = (book.root / "_config.yml").read_text(encoding="utf-8")
    book.write("_config.yml", settings.replace("      - course_access", "      - course_access\n      - course_stop"))
    book.write("power-cut", "")
    book.build(succeeds=False)
    (book.root / "power-cut").unlink()
    assert "Non-consecutive header level" in book.build(succeeds=False)


# --- freshness ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_only_what_changed_is_executed_again(book: Book) -> None:
    book.write("coursekit/toy.py", "VALUE = 'old value'\n")
    use = "import sys\nsys.path.insert(0, 'coursekit')\nfrom toy import VALUE\nprint(VALUE)"
    book.cell("one", use)
    book.cell("two", "print('two')")
    book.build(succeeds=True)
    assert "old value" in book.shown("one")
    book.build(succeeds=True)
    assert (book.runs("one"), book.runs("two")) == (1, 1), "nothing has changed"

    book.cell("two", "print('second')")
    book.build(succeeds=True)
    assert (book.runs("one"), book.runs("two")) == (1, 2), "one chapter has changed"
    assert "second" in book.shown("two")

    book.write("coursekit/toy.py", "VALUE = 'new value'\n")
    book.build(succeeds=True)
    assert (book.runs("one"), book.runs("two")) == (2, 3), "the library has changed"
    assert "new value" in book.shown("one")
    assert "old value" not in book.shown("one")

    book.write("results/a.json", "{}")
    book.build(succeeds=True)
    assert book.runs("one") == 3, "a recorded run has changed"


@pytest.mark.slow
def test_pages_that_were_thrown_away_come_back_without_being_executed(book: Book) -> None:
    book.cell("one", "print(1)")
    book.build(succeeds=True)
    shutil.rmtree(book.html)
    shutil.rmtree(book.root / "_build" / ".doctrees")
    book.build(succeeds=True)
    assert book.runs("one") == 1
    assert "cell_output" in book.shown("one")
    (book.root / "_build" / ".jupyter_cache" / "fingerprint.txt").unlink()
    book.build(succeeds=True)
    assert book.runs("one") == 2, "nobody knows by what code the stored execution was made"


@pytest.mark.slow
def test_styles_references_and_contents_are_never_stale(book: Book) -> None:
    book.cell("one", "print(1)")
    book.page("two", "# Two\n\n{cite:p}`knuth`\n\n```{bibliography}\n```\n")
    book.build(succeeds=True)
    assert "The Art" in book.shown("two")

    book.write("_static/course.css", "p { color: #123456 }\n")
    book.write(
        "references.bib", "@book{knuth, author={Donald Knuth}, title={The Other Art}, publisher={A}, year={1968}}\n"
    )
    (book.root / "two.md").rename(book.root / "three.md")
    book.contents(["one", "three"])
    book.build(succeeds=True)
    assert "#123456" in (book.html / "_static" / "course.css").read_text(encoding="utf-8")
    assert "The Other Art" in book.shown("three")
    assert "three.html" in book.shown("one")
    assert not (book.html / "two.html").exists()
    assert book.runs("one") == 1


def test_the_fingerprint_changes_with_everything_an_output_depends_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in ("coursekit/data", "results", "data"):
        (tmp_path / folder).mkdir(parents=True)
    seen = set()

    def changed() -> bool:
        before = len(seen)
        seen.add(execution_fingerprint(tmp_path, ["coursekit", "results", "requirements.txt"], data))
        return len(seen) > before

    assert changed()
    for name in ("coursekit/data/parcels.py", "results/a.json", "requirements.txt", "data/picture.png"):
        file = tmp_path / name
        file.write_text("one", encoding="utf-8")
        assert changed(), f"{name} is new"
        file.write_text("two!", encoding="utf-8")
        assert changed(), f"{name} has changed"
        assert not changed()
        os.utime(file, (1, 1))
        assert changed() == name.startswith("data/"), "only data are known by their time"
    (tmp_path / "coursekit/data/parcels.py").rename(tmp_path / "coursekit/parcels.py")
    assert changed(), "a module has moved"
    data = tmp_path / "results"
    assert changed(), "the data lie elsewhere"
    (tmp_path / "coursekit/__pycache__").mkdir()
    (tmp_path / "coursekit/__pycache__/a.pyc").write_text("x", encoding="utf-8")
    (tmp_path / "README.md").write_text("x", encoding="utf-8")
    assert not changed()


def test_the_fingerprint_changes_with_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy-1.0.dist-info").mkdir()
    metadata = tmp_path / "toy-1.0.dist-info" / "METADATA"
    monkeypatch.syspath_prepend(tmp_path)
    seen = set()
    for version in ("1.0", "1.1"):
        metadata.write_text(f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n", encoding="utf-8")
        seen.add(execution_fingerprint(tmp_path, [], tmp_path / "none"))
    assert len(seen) == 2


def test_the_fingerprint_of_the_pages_leaves_chapters_alone(tmp_path: Path) -> None:
    empty = page_fingerprint(tmp_path)
    (tmp_path / "intro.md").write_text("# A", encoding="utf-8")
    assert page_fingerprint(tmp_path) == empty
    (tmp_path / "_toc.yml").write_text("root: intro", encoding="utf-8")
    assert page_fingerprint(tmp_path) != empty


# --- access -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alt", ["", "  ", "picture.png", "img/picture.png", "picture", "Window", "a 9427643023fe1323911ce1f8a53b92bd"]
)
def test_an_alt_text_that_says_nothing_is_refused(alt: str) -> None:
    assert alt_problem(alt, "img/picture.png")


def test_an_alt_text_that_describes_is_accepted() -> None:
    assert alt_problem("Four windows on a grid of pixels", "img/picture.png") is None


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ('<summary aria-label="Toggle hidden content">Show</summary>', "<summary>Show</summary>"),
        ('<th class="a"> </th><th>x</th>', '<td class="a"></td><th>x</th>'),
        ('<div role="doc-biblioentry">', '<div role="listitem">'),
        ('<section id="exercise-content"><section id="solution-content">', "<section><section>"),
        ('<section id="exercise">', '<section id="exercise">'),
    ],
)
def test_html_of_other_packages_is_mended(written: str, mended: str) -> None:
    assert mend_html(written) == mended
