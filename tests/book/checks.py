"""What a built page must and must not contain. Each check takes a page and returns its faults as sentences."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tinycss2
import yaml
from bs4 import BeautifulSoup, Tag

__all__ = [
    "bad_structure",
    "dead_links",
    "external_in_css",
    "external_loads",
    "external_stylesheet_loads",
    "faulty_outputs",
    "figures_without_caption",
    "images_without_description",
    "missing_outputs",
    "parse",
    "toc_pages",
    "unresolved_references",
]

#: Shortest description that can say what a figure shows.
SHORTEST_ALT = 40

#: Calls that end a cell and show nothing. A cell that ends with any other call must have an output.
SILENT_CALLS = frozenset(
    {
        "append",
        "backward",
        "close",
        "copy_",
        "extend",
        "fill_",
        "glue",
        "load_state_dict",
        "manual_seed",
        "requires_grad_",
        "seed",
        "set_num_threads",
        "set_printoptions",
        "simplefilter",
        "sort",
        "step",
        "update",
        "use_course_style",
        "use_deterministic_algorithms",
        "zero_grad",
    }
)

_EXTERNAL = re.compile(r"^\s*(?:https?:|ftp:|wss?:)?//", re.IGNORECASE)
_LOADING_SCRIPT = re.compile(
    r"""(?:\bimport\s*\(?|\bfrom|\bfetch\s*\(|importScripts\s*\(|\.src\s*=|\.href\s*=)\s*["'`](?:https?:)?//[^"'`]+""",
    re.IGNORECASE,
)
#: What a browser loads by itself, as tag and attribute.
_LOADS = {
    "audio": ["src"],
    "embed": ["src"],
    "iframe": ["src"],
    "image": ["href", "xlink:href"],
    "img": ["src", "srcset"],
    "input": ["src"],
    "object": ["data"],
    "script": ["src"],
    "source": ["src", "srcset"],
    "track": ["src"],
    "use": ["href", "xlink:href"],
    "video": ["src", "poster"],
}
#: Relations of <link> that lead a reader somewhere and load nothing.
_HARMLESS_RELATIONS = frozenset(
    ["alternate", "author", "canonical", "help", "index", "license", "me", "next", "prev", "search"]
)
_HASH = re.compile(r"[0-9a-f]{16,}")
_LEFT_OVER_MARKUP = re.compile(r"\{(?:ref|numref|eq|doc|cite|cite:[pt]|term|glue|glue:text|math|exercise)\}")


def parse(file: Path) -> BeautifulSoup:
    """A built page as a tree."""
    return BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")


def toc_pages(toc: Path) -> list[str]:
    """Names of all pages of a table of contents, without suffix, the first page first."""

    def names(entry: Any) -> Iterator[str]:
        if isinstance(entry, dict):
            if "file" in entry:
                yield re.sub(r"\.(md|ipynb|rst)$", "", entry["file"])
            for value in entry.values():
                yield from names(value)
        elif isinstance(entry, list):
            for value in entry:
                yield from names(value)

    content = yaml.safe_load(toc.read_text(encoding="utf-8"))
    return [content["root"], *names(content)]


def faulty_outputs(page: BeautifulSoup) -> list[str]:
    """Errors and warnings that a cell left on the page."""
    faults = []
    for output in page.select(".cell_output"):
        text = output.get_text()
        if output.select_one(".traceback") or "Traceback (most recent call last)" in text:
            faults.append(f"traceback in an output: {text.strip()[-200:]}")
        elif output.select_one(".stderr"):
            faults.append(f"output on stderr: {text.strip()[:200]}")
    return faults


def external_in_css(css: str) -> list[str]:
    """Addresses on other hosts that a style sheet loads, by ``url()`` or ``@import``."""

    def addresses(tokens: Iterable[Any]) -> Iterator[str]:
        for token in tokens:
            if token.type == "url":
                yield token.value
            elif token.type == "function" and token.lower_name == "url":
                yield from (part.value for part in token.arguments if part.type == "string")
            elif token.type == "at-rule" and token.lower_at_keyword == "import":
                yield from (part.value for part in token.prelude if part.type == "string")
            for inner in ("arguments", "prelude", "content"):
                if getattr(token, inner, None):
                    yield from addresses(getattr(token, inner))

    rules = tinycss2.parse_component_value_list(css)
    return [address for address in addresses([*rules, *tinycss2.parse_stylesheet(css)]) if _EXTERNAL.match(address)]


def external_loads(page: BeautifulSoup) -> list[str]:
    """Everything that a browser would fetch from another host to show the page."""
    faults = []
    for tag, attributes in _LOADS.items():
        for element in page.find_all(tag):
            for attribute in attributes:
                for address in re.split(r",\s+|\s+", element.get(attribute, "")):
                    if _EXTERNAL.match(address):
                        faults.append(f"<{tag} {attribute}> loads {address}")
    for link in page.find_all("link"):
        relations = set(link.get("rel", []))
        if not relations <= _HARMLESS_RELATIONS and _EXTERNAL.match(link.get("href", "")):
            faults.append(f"<link rel={' '.join(sorted(relations))}> loads {link['href']}")
    for script in page.find_all("script", src=False):
        faults += [f"a script loads {match.group()}" for match in _LOADING_SCRIPT.finditer(script.get_text())]
    for style in page.find_all("style"):
        faults += [f"<style> loads {address}" for address in external_in_css(style.get_text())]
    for element in page.find_all(style=True):
        faults += [f"a style attribute loads {address}" for address in external_in_css(element["style"])]
    return faults


def external_stylesheet_loads(file: Path) -> list[str]:
    """What the style sheets of a page fetch from another host."""
    faults = []
    for link in parse(file).find_all("link", rel="stylesheet"):
        target = urlsplit(link["href"])
        if not target.netloc:
            css = _read(file.parent / unquote(target.path))
            faults += [f"{target.path} loads {address}" for address in external_in_css(css)]
    return faults


@cache
def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def images_without_description(page: BeautifulSoup) -> list[str]:
    """Images that a person who does not see them learns nothing about."""
    faults = []
    for image in page.find_all("img"):
        alt, source = image.get("alt"), image.get("src", "")
        name = source.rsplit("/", 1)[-1]
        if alt is None:
            faults.append(f"{name} has no alt attribute")
        elif image.find_parent("article") is None:
            if not alt.strip() and not _named_otherwise(image):
                faults.append(f"{name} has an empty alt and stands alone")
        elif alt.strip() in ("", source, name, name.rsplit(".", 1)[0]) or _HASH.search(alt):
            faults.append(f"{name} has an alt text that describes nothing: {alt!r}")
        elif len(alt.strip()) <= SHORTEST_ALT:
            faults.append(f"{name} has an alt text of {len(alt.strip())} characters, {SHORTEST_ALT + 1} are the least")
    for drawing in page.select("article svg"):
        hidden = drawing.get("aria-hidden") == "true" or drawing.find_parent(attrs={"aria-hidden": "true"})
        if not hidden and not (drawing.get("aria-label") or drawing.get("aria-labelledby") or drawing.find("title")):
            faults.append("an inline drawing has neither a name nor aria-hidden")
    return faults


def _named_otherwise(image: Tag) -> bool:
    link = image.find_parent("a")
    return link is not None and bool(link.get_text(strip=True))


def figures_without_caption(page: BeautifulSoup) -> list[str]:
    """Figures whose caption is missing or only a number, and images that are not in a figure."""
    faults = []
    for figure in page.select("article figure"):
        caption = figure.find("figcaption")
        text = caption.select_one(".caption-text") if caption else None
        if text is None or not text.get_text(strip=True):
            faults.append(f"figure {figure.get('id', '?')} has no caption")
    for image in page.select("article img"):
        if image.find_parent("figure") is None:
            faults.append(f"{image.get('src', '?')} is not in a figure, so it has no caption")
    return faults


def unresolved_references(page: BeautifulSoup) -> list[str]:
    """References that lead nowhere: empty, with question marks, or left as they were written."""
    article = page.find("article") or page
    faults = [
        f"empty link to {link['href']}"
        for link in article.find_all("a", href=True)
        if not link.get_text(strip=True) and not link.find(["img", "svg"]) and not link.get("aria-label")
    ]
    faults += [
        f"reference without a target: {mark.get_text()}"
        for mark in article.select(".xref")
        if mark.find_parent("a", href=True) is None and mark.name != "a" and "download" not in mark["class"]
    ]
    for text in article.find_all(string=re.compile(r"\?\?|\{")):
        if text.find_parent(["code", "pre", "script", "style", "math"]) or text.find_parent(class_="math"):
            continue
        if "??" in text or _LEFT_OVER_MARKUP.search(text):
            faults.append(f"unresolved in the text: {text.strip()[:80]}")
    return faults


def dead_links(file: Path, root: Path) -> list[str]:
    """Links and files of a page that do not exist, anchors included.

    Args:
        file: the built page.
        root: folder of the built book; nothing outside of it will be published.
    """
    faults = []
    for element in parse(file).find_all(["a", "img", "link", "script", "source", "iframe"]):
        address = element.get("href") or element.get("src")
        if not address or _EXTERNAL.match(address):
            continue
        target = urlsplit(address)
        if target.scheme:
            if target.scheme not in ("mailto", "data"):
                faults.append(f"{address} is no address that a browser can follow")
            continue
        destination = (file.parent / unquote(target.path)).resolve() if target.path else file.resolve()
        if not destination.is_relative_to(root.resolve()):
            faults.append(f"{address} leads out of the book")
        elif not destination.is_file():
            faults.append(f"{address} does not exist")
        elif (
            element.name == "a"
            and target.fragment
            and destination.suffix == ".html"
            and unquote(target.fragment) not in _anchors(destination)
        ):
            faults.append(f"{address} has no such anchor")
    return faults


@cache
def _anchors(file: Path) -> frozenset[str]:
    elements = parse(file).find_all(True)
    return frozenset(element[key] for element in elements for key in ("id", "name") if element.get(key))


def bad_structure(page: BeautifulSoup) -> list[str]:
    """Faults of the skeleton that a screen reader goes by: language, title, headings, landmarks, ids."""
    faults = []
    if not (page.html and page.html.get("lang")):
        faults.append("the page does not name its language")
    if not (page.title and page.title.get_text(strip=True)):
        faults.append("the page has no title")
    if len(page.find_all("h1")) != 1:
        faults.append(f"the page has {len(page.find_all('h1'))} main headings, not one")
    if len(page.find_all("main")) != 1:
        faults.append("the page has not exactly one main part")
    repeated = [name for name, count in Counter(tag["id"] for tag in page.find_all(id=True)).items() if count > 1]
    faults += [f"the id {name} occurs more than once" for name in repeated]
    level = 0
    for heading in page.select("article :is(h1, h2, h3, h4, h5, h6)"):
        if int(heading.name[1]) > level + 1:
            faults.append(f"heading {heading.get_text(strip=True)!r} skips a level")
        level = int(heading.name[1])
    faults += [f"frame {frame.get('src', '')}" for frame in page.find_all(["iframe", "frame"])]
    return faults


def shows_something(source: str) -> bool:
    """Whether a cell with this source must have an output: it prints, or ends with a value."""
    lines = [line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    statements = ast.parse("\n".join(lines)).body
    if any(_prints(statement) for statement in statements):
        return True
    if not statements or not isinstance(statements[-1], ast.Expr) or source.rstrip().endswith(";"):
        return False
    value = statements[-1].value
    if isinstance(value, ast.Call):
        called = value.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return name not in SILENT_CALLS
    return not (isinstance(value, ast.Constant) and value.value is None)


def _prints(statement: ast.stmt) -> bool:
    # Straight-line code only: whether a branch is taken or a function called is not known here.
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return isinstance(statement.value.func, ast.Name) and statement.value.func.id in ("print", "display")
    if isinstance(statement, ast.With):
        return any(_prints(inner) for inner in statement.body)
    return False


def missing_outputs(page: BeautifulSoup, notebook: dict[str, Any]) -> list[str]:
    """Cells that should show something and do not.

    Args:
        page: the built page.
        notebook: the notebook it was built from, as JSON.
    """
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    shown = [cell for cell in code if "remove-cell" not in _tags(cell)]
    cells = page.select("div.cell")
    if len(cells) != len(shown):
        return [f"{len(shown)} cells should be on the page, {len(cells)} are"]
    faults = []
    for cell, element in zip(shown, cells, strict=True):
        source = "".join(cell["source"])
        output = element.select_one(".cell_output")
        if "remove-output" in _tags(cell) or "remove-stdout" in _tags(cell):
            continue
        if "figure" in cell["metadata"].get("mystnb", {}):
            if output is None or not output.select("figure :is(img, svg)"):
                faults.append(f"no figure below: {source[:200]}")
        elif shows_something(source) and (output is None or not _has_content(output)):
            faults.append(f"no output below: {source[:200]}")
    return faults


def _tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def _has_content(output: Tag) -> bool:
    return bool(output.get_text(strip=True) or output.find(["img", "svg", "canvas", "video"]))
