"""Pages that everyone can use.

An image without a description is a warning, and a warning fails the build. The theme's templates are adjusted where
they leave content outside of the landmarks that screen readers go by, and so is HTML that other packages write: the
summary of a folded cell is called what it says, and the empty corner of a pandas table is no heading.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

__all__ = ["alt_problem", "mend_html", "setup"]

logger = logging.getLogger(__name__)

_HASH = re.compile(r"[0-9a-f]{16,}")
_START_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={target}">
</head>
<body><main><h1>{title}</h1><p><a href="{target}">To the first page</a></p></main></body>
</html>
"""


def alt_problem(alt: str, uri: str) -> str | None:
    """What is wrong with a description of an image, in words; None if nothing is.

    Args:
        alt: the description.
        uri: where the image lies; a description that is only this name says nothing.
    """
    alt = alt.strip()
    path = PurePosixPath(uri)
    if not alt:
        return "has no alt text"
    if alt in (uri, path.name, path.stem) or _HASH.search(alt) or " " not in alt:
        return f"has an alt text that describes nothing: {alt!r}"
    return None


def mend_html(body: str) -> str:
    """HTML of a page with names that fit what is seen, and without headings that say nothing."""
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')  # the old role is deprecated
    body = re.sub(r' id="(?:exercise|solution)-content"', "", body)  # on every exercise of a page
    return re.sub(r"<th([^>]*)>\s*</th>", r"<td\1></td>", body)


def _check_images(app: Sphinx, doctree: nodes.document) -> None:
    for image in doctree.findall(nodes.image):
        problem = alt_problem(image.get("alt", ""), image["uri"])
        if problem:
            logger.warning(
                "image %s %s; in a code cell, set mystnb: {image: {alt: ...}}",
                PurePosixPath(image["uri"]).name,
                problem,
                location=image,
                type="course",
                subtype="alt",
            )


def _mend_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if "body" in context:
        context["body"] = mend_html(context["body"])


def _add_templates(app: Sphinx, config: Config) -> None:
    config.templates_path.insert(0, str(Path(__file__).parent / "templates"))


def _write_start_page(app: Sphinx, exception: Exception | None) -> None:
    start = Path(app.outdir) / "index.html"
    if exception is None and app.builder.format == "html" and app.config.root_doc != "index":
        title = nodes.Text(app.config.html_title).astext().replace("&", "&amp;")
        start.write_text(_START_PAGE.format(title=title, target=f"{app.config.root_doc}.html"), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _add_templates)
    app.connect("doctree-read", _check_images)
    app.connect("html-page-context", _mend_page)
    app.connect("build-finished", _write_start_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
