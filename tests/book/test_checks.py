"""The checks of the built pages, on pages that they must accept and on pages that they must refuse."""

from pathlib import Path

import checks
import pytest
from bs4 import BeautifulSoup

ALT = "A curve that rises from the lower left to the upper right of the picture"
GOOD = f"""<!DOCTYPE html>
<html lang="en"><head><title>Pooling</title>
<link rel="stylesheet" href="_static/a.css"><link rel="next" href="https://example.org/next.html">
<script src="_static/a.js"></script><script>const link = "https://example.org";</script></head>
<body><a href="start.html"><img src="logo.svg" alt=""> Start</a><main><article><h1 id="top">Pooling</h1>
<p>See <a href="#top">above</a> and <a href="https://example.org">elsewhere</a>. What is {{x}}? <code>a ?? b</code></p>
<figure id="f"><img src="pic.svg" alt="{ALT}"><figcaption><p><span class="caption-number">Figure 1</span>
<span class="caption-text">It rises.</span></p></figcaption></figure>
<div class="cell"><div class="cell_input"><pre>print(1)</pre></div><div class="cell_output"><pre>1</pre></div></div>
</article></main></body></html>"""


def tree(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def article(html: str) -> BeautifulSoup:
    return tree(f"<html><body><main><article>{html}</article></main></body></html>")


def code(source: str, **metadata: object) -> dict:
    return {"cells": [{"cell_type": "code", "source": source, "metadata": metadata}]}


@pytest.mark.parametrize(
    "check",
    [
        checks.faulty_outputs,
        checks.external_loads,
        checks.images_without_description,
        checks.figures_without_caption,
        checks.unresolved_references,
        checks.bad_structure,
    ],
)
def test_a_good_page_has_no_faults(check) -> None:
    assert check(tree(GOOD)) == []


@pytest.mark.parametrize(
    "html",
    [
        '<div class="cell_output"><div class="output traceback highlight-ipythontb"><pre>ValueError</pre></div></div>',
        '<div class="cell_output"><pre>Traceback (most recent call last):\n  File</pre></div>',
        '<div class="cell_output"><div class="output stderr"><pre>UserWarning</pre></div></div>',
    ],
)
def test_an_error_in_an_output_is_found(html: str) -> None:
    assert checks.faulty_outputs(article(html))


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example.org/a.js"></script>',
        '<script src="//cdn.example.org/a.js"></script>',
        "<script>import('https://cdn.example.org/a.js')</script>",
        "<script type=module>import {a} from 'https://cdn.example.org/a.js'</script>",
        '<script>s.src = "https://cdn.example.org/a.js"</script>',
        "<script>fetch(`https://example.org/data.json`)</script>",
        '<link rel="stylesheet" href="https://fonts.example.org/css">',
        '<link rel="preload" as="font" href="https://fonts.example.org/a.woff2">',
        '<link rel="preconnect" href="https://fonts.example.org">',
        '<link rel="icon" href="http://example.org/favicon.ico">',
        '<img src="https://example.org/a.png" alt="">',
        '<img srcset="a.png 1x, https://example.org/a.png 2x" alt="">',
        '<iframe src="https://example.org"></iframe>',
        '<video poster="https://example.org/a.png"></video>',
        '<object data="https://example.org/a.svg"></object>',
        '<svg><image href="https://example.org/a.png"/></svg>',
        '<svg><use xlink:href="https://example.org/a.svg#b"/></svg>',
        "<style>@import 'https://fonts.example.org/css';</style>",
        "<style>@font-face { src: url(https://fonts.example.org/a.woff2) }</style>",
        '<p style="background: url(&quot;https://example.org/a.png&quot;)">x</p>',
    ],
)
def test_a_load_from_another_host_is_found(html: str) -> None:
    assert checks.external_loads(tree(html))


@pytest.mark.parametrize(
    "css",
    [
        "@import url('https://a.org/b.css');",
        '@import "//a.org/b.css" print;',
        "@media print { p { background: url( https://a.org/b.png ) } }",
        "@supports (display: grid) { @font-face { font-family: a; src: local(b), url('//a.org/c.woff2') } }",
        "p { cursor: image-set(url('https://a.org/b.png') 1x) }",
        "p { background:\\75rl(https://a.org/b.png) }",
    ],
)
def test_a_style_sheet_that_loads_from_another_host_is_found(tmp_path: Path, css: str) -> None:
    assert checks.external_in_css(css)
    (tmp_path / "a.css").write_text(css, encoding="utf-8")
    (tmp_path / "page.html").write_text('<link rel="stylesheet" href="a.css?v=1">', encoding="utf-8")
    assert checks.external_stylesheet_loads(tmp_path / "page.html")


@pytest.mark.parametrize(
    "css", ["@import 'a.css';", "p { background: url(data:image/png;base64,AA) }", "/* https:// */"]
)
def test_a_style_sheet_that_loads_its_own_files_is_accepted(css: str) -> None:
    assert checks.external_in_css(css) == []


@pytest.mark.parametrize(
    "html",
    [
        '<img src="a.svg">',
        '<img src="a.svg" alt="">',
        '<img src="img/a.svg" alt="img/a.svg">',
        '<img src="img/figure-of-a-pooling-window-that-moves.svg" alt="figure-of-a-pooling-window-that-moves.svg">',
        '<img src="a.svg" alt="../_images/9427643023fe1323911ce1f8a53b92bd9efca5e48539b06f9454cd.svg">',
        '<img src="a.svg" alt="A curve that rises">',
        '<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>',
    ],
)
def test_an_image_without_a_description_is_found(html: str) -> None:
    assert checks.images_without_description(article(html))


def test_an_empty_alt_outside_the_text_needs_a_name_beside_it() -> None:
    assert checks.images_without_description(tree('<a href="a.html"><img src="logo.svg" alt=""></a>'))


@pytest.mark.parametrize(
    "html",
    [
        '<figure><img src="a.svg"></figure>',
        '<figure><img src="a.svg"><figcaption></figcaption></figure>',
        '<figure><img src="a.svg"><figcaption><span class="caption-number">Figure 1</span></figcaption></figure>',
        '<figure><figcaption><span class="caption-text"> </span></figcaption></figure>',
        '<p><img src="a.svg"></p>',
    ],
)
def test_a_figure_without_a_caption_is_found(html: str) -> None:
    assert checks.figures_without_caption(article(html))


@pytest.mark.parametrize(
    "html",
    [
        '<a href="#a"></a>',
        '<a href="#a"> <span></span></a>',
        '<span class="xref std std-ref">sec-gone</span>',
        '<code class="xref py py-func">gone()</code>',
        "<p>See Figure ??.</p>",
        "<p>See {ref}`sec-gone`.</p>",
        "<p>As {cite:p}`nobody2020` says</p>",
    ],
)
def test_an_unresolved_reference_is_found(html: str) -> None:
    assert checks.unresolved_references(article(html))


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("gone.html", "does not exist"),
        ("sub", "does not exist"),
        ("other.html#gone", "no such anchor"),
        ("#gone", "no such anchor"),
        ("../secret.html", "leads out of the book"),
        ("javascript:alert(1)", "no address"),
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, link: str, fault: str) -> None:
    root = tmp_path / "html"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "secret.html").write_text("<p id=a>", encoding="utf-8")
    (root / "other.html").write_text('<p id="there">', encoding="utf-8")
    page = root / "page.html"
    alive = '<a href="other.html#there">a</a><a href="#here" id="here">b</a><a href="https://example.org/gone">c</a>'
    page.write_text(alive, encoding="utf-8")
    assert checks.dead_links(page, root) == []
    broken = root / "broken.html"
    broken.write_text(f'{alive}<a href="{link}">d</a>', encoding="utf-8")
    assert [fault in found for found in checks.dead_links(broken, root)] == [True]


def test_a_missing_picture_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<img src="gone.svg">', encoding="utf-8")
    assert checks.dead_links(tmp_path / "page.html", tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (' lang="en"', ""),
        ("<title>Pooling</title>", "<title> </title>"),
        ("<h1 id=", "<h1>Again</h1><h1 id="),
        ("<h1 id=", "<p id="),
        ("main>", "div>"),
        ('id="f"', 'id="top"'),
        ("<p>See", "<h3>Deep</h3><p>See"),
        ("<p>See", '<iframe src="a.html"></iframe><p>See'),
    ],
)
def test_a_bad_skeleton_is_found(old: str, new: str) -> None:
    assert old in GOOD
    assert checks.bad_structure(tree(GOOD.replace(old, new)))


@pytest.mark.parametrize(
    "source",
    [
        "print(1)",
        "x = 1\nx",
        "x\n",
        "table.head()",
        "# why\nplot_grid(3)",
        "with no_grad():\n    print(x)",
        "%time\n[1, 2]",
    ],
)
def test_a_cell_that_lost_its_output_is_found(source: str) -> None:
    empty = '<div class="cell"><div class="cell_input"></div></div>'
    blank = '<div class="cell"><div class="cell_input"></div><div class="cell_output"><pre> </pre></div></div>'
    filled = blank.replace("<pre> ", "<pre>1")
    assert checks.missing_outputs(article(empty), code(source))
    assert checks.missing_outputs(article(blank), code(source))
    assert checks.missing_outputs(article(filled), code(source)) == []


@pytest.mark.parametrize(
    "source", ["import torch", "x = 1", "x;", "torch.manual_seed(0)", "def f():\n    print(1)", "", "loss.backward()"]
)
def test_a_cell_that_shows_nothing_needs_no_output(source: str) -> None:
    cell = '<div class="cell"><div class="cell_input"></div></div>'
    assert checks.missing_outputs(article(cell), code(source)) == []


def test_a_cell_that_lost_its_figure_is_found() -> None:
    figure = {"mystnb": {"figure": {"name": "fig-a"}}}
    text = '<div class="cell"><div class="cell_output"><pre>Figure(520x320)</pre></div></div>'
    drawn = '<div class="cell"><div class="cell_output"><figure><img src="a.svg"></figure></div></div>'
    assert checks.missing_outputs(article(text), code("plot()", **figure))
    assert checks.missing_outputs(article(drawn), code("plot()", **figure)) == []


def test_a_cell_that_is_not_on_the_page_is_found() -> None:
    assert checks.missing_outputs(article("<p>nothing</p>"), code("x = 1"))
    assert checks.missing_outputs(article("<p>nothing</p>"), code("x = 1", tags=["remove-cell"])) == []


def test_all_pages_of_a_table_of_contents_are_known(tmp_path: Path) -> None:
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "format: jb-book\nroot: intro\nparts:\n- caption: A\n  chapters:\n  - file: a/one.md\n    sections:\n"
        "    - file: a/two\n- chapters:\n  - file: b/three\n",
        encoding="utf-8",
    )
    assert checks.toc_pages(toc) == ["intro", "a/one", "a/two", "b/three"]
