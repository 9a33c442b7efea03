"""Every page of the built book, as HTML."""

import json
from pathlib import Path

import checks
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.book

CHAPTERS = checks.toc_pages(ROOT / "_toc.yml")
PAGES = [*CHAPTERS, "search", "genindex"]


@pytest.fixture(params=CHAPTERS)
def chapter(request: pytest.FixtureRequest, html: Path) -> Path:
    return html / f"{request.param}.html"


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, html: Path) -> Path:
    return html / f"{request.param}.html"


@pytest.fixture
def tree(page: Path) -> BeautifulSoup:
    return checks.parse(page)


def test_the_start_page_leads_to_the_first_page(html: Path) -> None:
    assert f"{CHAPTERS[0]}.html" in (html / "index.html").read_text(encoding="utf-8")
    assert checks.dead_links(html / "index.html", html) == []


def test_no_page_is_left_over_from_an_earlier_book(html: Path) -> None:
    built = {path.relative_to(html).with_suffix("").as_posix() for path in html.rglob("*.html")}
    built = {name for name in built if not name.startswith(("_static/", "figures/", "mathjax/"))}
    assert built == {*PAGES, "index"}


def test_no_cell_left_an_error_or_a_warning(tree: BeautifulSoup) -> None:
    assert checks.faulty_outputs(tree) == []


def test_nothing_is_loaded_from_another_host(page: Path, tree: BeautifulSoup) -> None:
    assert checks.external_loads(tree) == []
    assert checks.external_stylesheet_loads(page) == []


def test_every_image_is_described(tree: BeautifulSoup) -> None:
    assert checks.images_without_description(tree) == []


def test_every_figure_has_a_caption(tree: BeautifulSoup) -> None:
    assert checks.figures_without_caption(tree) == []


def test_every_reference_is_resolved(tree: BeautifulSoup) -> None:
    assert checks.unresolved_references(tree) == []


def test_every_internal_link_leads_somewhere(page: Path, html: Path) -> None:
    assert checks.dead_links(page, html) == []


def test_the_skeleton_is_sound(tree: BeautifulSoup) -> None:
    assert checks.bad_structure(tree) == []


def test_the_outputs_of_the_cells_are_there(chapter: Path, html: Path) -> None:
    executed = (html.parent / "jupyter_execute" / chapter.relative_to(html)).with_suffix(".ipynb")
    if not executed.is_file():
        assert checks.parse(chapter).select("div.cell") == []  # a page without code
        return
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    assert checks.missing_outputs(checks.parse(chapter), notebook) == []


def test_the_search_index_knows_every_chapter(html: Path) -> None:
    index = (html / "searchindex.js").read_text(encoding="utf-8")
    assert [name for name in CHAPTERS if f'"{name}"' not in index] == []
