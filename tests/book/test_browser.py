"""Every page of the built book, in a browser: light and dark, as wide as a phone and as a desk."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import checks
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.book, pytest.mark.browser, pytest.mark.slow]

PAGES = [*checks.toc_pages(ROOT / "_toc.yml"), "search", "genindex"]
LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (390, 1280)]


class Visit:
    """A page that a browser has opened, with what the browser said and asked for meanwhile."""

    def __init__(self, page: "Page", address: str) -> None:
        self.page, self.messages, self.requests = page, [], []
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)
        page.evaluate("() => window.MathJax?.startup?.promise")  # waits until all formulas are set

    @property
    def complaints(self) -> list[str]:
        return [message for message in self.messages if message.startswith(("error", "warning"))]

    @property
    def requests_elsewhere(self) -> list[str]:
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., Visit]]:
    contexts = []

    def open_page(file: Path, scheme: str = "light", width: int = 1280, query: str = "") -> Visit:
        contexts.append(browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 844}))
        return Visit(contexts[-1].new_page(), file.resolve().as_uri() + query)

    yield open_page
    for context in contexts:
        context.close()


def violations(visit: Visit) -> list[str]:
    # Without preload: axe would fetch the style sheets again, which a browser refuses for files.
    found = axe.run(visit.page, options={"preload": False}).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound_in_a_browser(html: Path, visit: Callable, name: str, scheme: str, width: int) -> None:
    seen = visit(html / f"{name}.html", scheme, width)
    assert seen.page.evaluate("document.documentElement.dataset.theme") == scheme
    assert seen.requests_elsewhere == []
    assert seen.complaints == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    formulas = seen.page.locator("article .math")
    assert formulas.count() == seen.page.locator("article .math mjx-container").count(), "a formula is not set"
    assert seen.page.locator("mjx-merror, [data-mml-node=merror]").count() == 0, "a formula has an error"
    for image in seen.page.locator("article img").all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert violations(seen) == []


def test_a_page_may_be_searched_from_the_disk(html: Path, visit: Callable) -> None:
    seen = visit(html / "search.html", query="?q=pooling")
    seen.page.wait_for_selector("#search-results li a")
    found = seen.page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any("/chapters/" in link for link in found)
    assert seen.complaints == []


def test_print_shows_folded_answers_and_no_side_bars(html: Path, visit: Callable) -> None:
    for name in PAGES:
        seen = visit(html / f"{name}.html", scheme="dark")
        seen.page.emulate_media(media="print")
        seen.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        hidden = "nodes => nodes.filter(node => node.checkVisibility({visibilityProperty: true})).length"
        assert seen.page.locator(".bd-sidebar-primary, .bd-sidebar-secondary").evaluate_all(hidden) == 0, name
        folded = seen.page.locator("article details > *:not(summary), article .admonition.toggle > section")
        count = folded.count()
        seen.page.wait_for_timeout(400)  # answers open with a transition
        assert folded.evaluate_all(hidden) == count, name
        assert seen.page.evaluate("document.documentElement.dataset.theme") == "light", name


# The checks themselves: pages that they must refuse.

FAULTY = {
    "image-alt": "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>",
    "color-contrast": "<p style='color:#999;background:#fff'>Hard to read.</p>",
    "scrollable-region-focusable": "<div style='width:50px;overflow:auto'><pre>{}</pre></div>".format("wide " * 40),
    "link-name": "<a href='#x'></a>",
    "heading-order": "<h5>Deep</h5>",
}


@pytest.mark.parametrize("rule", FAULTY)
def test_the_browser_check_refuses(tmp_path: Path, visit: Callable, rule: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        f"<!DOCTYPE html><html lang='en'><title>t</title><main><h1 id='x'>t</h1>{FAULTY[rule]}</main></html>",
        encoding="utf-8",
    )
    assert any(found.startswith(rule) for found in violations(visit(file)))


def test_the_browser_check_sees_complaints_and_requests(tmp_path: Path, visit: Callable) -> None:
    file = tmp_path / "page.html"
    file.write_text(
        "<title>t</title><script>console.error('no'); fetch('http://localhost:1/x').catch(() => 0)</script>",
        encoding="utf-8",
    )
    seen = visit(file)
    seen.page.wait_for_timeout(200)
    assert "error: no" in seen.complaints
    assert seen.requests_elsewhere == ["http://localhost:1/x"]
