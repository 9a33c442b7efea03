"""A warning fails the build, in this run and in every further one until it is mended.

Sphinx warns about a page when it reads it and then remembers the page, so the next run, which has nothing to read, has
nothing to say. Here a build counts as proven only if it came to its end without a warning; after any other, the pages
are read anew. Cached executions stay, so that costs seconds.
"""

import atexit
import sys
from pathlib import Path

from course_fresh import forget_pages
from myst_nb.core.execute import ExecutionError
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

__all__ = ["setup"]

logger = logging.getLogger(__name__)


def _marker(app: Sphinx) -> Path:
    return Path(app.doctreedir) / "unproven"


def _begin(app: Sphinx, config: Config) -> None:
    if _marker(app).exists():
        forget_pages(app)
    # Present until the end: a build that is interrupted proves nothing either.
    _marker(app).parent.mkdir(parents=True, exist_ok=True)
    _marker(app).touch()


def _judge(app: Sphinx, exception: Exception | None) -> None:
    if isinstance(exception, ExecutionError):
        # Jupyter Book ends with a long traceback of its own; the cause shall be the last thing on the screen.
        atexit.register(print, _cause(app, exception), file=sys.stderr)
    if exception is not None:
        return
    if app._warncount:
        app.statuscode = app.statuscode or 1
        logger.info("warnings in this build: %d. Each fails it; all of them are listed above.", app._warncount)
    elif app.statuscode == 0:
        _marker(app).unlink()


def _cause(app: Sphinx, error: ExecutionError) -> str:
    page = Path(str(error)).relative_to(app.srcdir)
    return f"{page}: {str(error.__cause__).strip()}\nThe page was not built."


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _begin)
    app.connect("build-finished", _judge, priority=10_000)  # others may still warn when they finish
    return {"parallel_read_safe": True, "parallel_write_safe": True}
