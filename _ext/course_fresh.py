"""Never show stale output: forget what was executed, read or written before something it depends on has changed.

Jupyter-cache knows an execution by the source of its cells alone. It does not see that an imported module, a recorded
run, an installed package or the data changed. This extension takes a fingerprint of those and, when it differs from
that of the last build, throws away the cached executions. A second fingerprint, of what shapes the pages without
being run (bibliography, extensions, style sheets, contents), throws away the pages that were read, and keeps the
executions. Editing a single chapter changes neither: only that chapter runs again.

Whenever a page was read, all pages are written: a link to a heading that has gone is then seen in the same build, and
no page keeps an old table of contents.
"""

import hashlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from coursekit.paths import data_dir
from coursekit.results import results_folder

__all__ = ["execution_fingerprint", "forget_pages", "page_fingerprint", "setup"]

logger = logging.getLogger(__name__)

#: What every kernel of a build gets, unless the caller has set it.
_KERNEL_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve whatever else runs
    "OMP_NUM_THREADS": str(min(4, os.cpu_count() or 1)),
    "PYTHONHASHSEED": "0",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else the debugger greets on stderr, in the output of a cell
}
_PAGE_PATHS = ("_config.yml", "_toc.yml", "_ext", "_extra", "_static", "references.bib")
_FINGERPRINT = "fingerprint.txt"


def execution_fingerprint(root: Path, paths: Iterable[str], data: Path) -> str:
    """Fingerprint of everything outside a page that its outputs depend on.

    Args:
        root: folder of the book.
        paths: files and folders, absolute or in the book, read completely.
        data: folder of the data sets; names, sizes and times stand for their content.
    """
    parts = [platform.python_version(), platform.machine(), *_contents(root, paths), str(data)]
    parts += sorted(f"{package.name}=={package.version}" for package in metadata.distributions())
    for file in _files(data):
        state = file.stat()
        parts.append(f"{file.relative_to(data)} {state.st_size} {state.st_mtime_ns}")
    return _digest(parts)


def page_fingerprint(root: Path) -> str:
    """Fingerprint of what shapes the pages without being executed."""
    return _digest(_contents(root, _PAGE_PATHS))


def forget_pages(app: Sphinx) -> None:
    """Have every page read and written again in this build; to be called before Sphinx loads its environment."""
    (Path(app.doctreedir) / ENV_PICKLE_FILENAME).unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and ".ipynb_checkpoints" not in path.parts:
            yield path


def _contents(root: Path, paths: Iterable[str]) -> Iterator[str]:
    for name in paths:
        path = root / name
        for file in [path] if path.is_file() else _files(path):
            yield f"{name} {file.relative_to(path).as_posix()} {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _changed(folder: Path, fingerprint: str) -> bool:
    file = folder / _FINGERPRINT
    return not file.is_file() or file.read_text(encoding="utf-8") != fingerprint


def _remember(folder: Path, fingerprint: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FINGERPRINT).write_text(fingerprint, encoding="utf-8")


def _forget_stale(app: Sphinx, config: Config) -> None:
    # The fingerprints are written before anything runs: a change during this build is then seen by the next one.
    root, cache, doctrees = Path(app.srcdir), Path(app.outdir).parent / ".jupyter_cache", Path(app.doctreedir)
    paths = [*config.fresh_paths, str(results_folder())]
    executed = execution_fingerprint(root, paths, data_dir())
    if _changed(cache, executed):
        if cache.exists():
            logger.info("code, packages, results or data have changed: every page will be executed again")
            shutil.rmtree(cache)
        forget_pages(app)
        _remember(cache, executed)
    read = page_fingerprint(root)
    if _changed(doctrees, read):
        forget_pages(app)
        _remember(doctrees, read)


def _empty_output(app: Sphinx, config: Config) -> None:
    # A build that reads every page starts from an empty folder, so that no page of an earlier book is left over.
    environment = Path(app.doctreedir) / ENV_PICKLE_FILENAME
    output = Path(app.outdir)
    if not environment.exists() and (output / ".buildinfo").is_file():
        shutil.rmtree(output)
        output.mkdir()


def _note_read(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    env.course_some_page_was_read = bool(docnames)


def _write_all(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    return env.found_docs if env.course_some_page_was_read else ()


def setup(app: Sphinx) -> dict[str, bool]:
    for name, value in _KERNEL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    app.add_config_value("fresh_paths", ["coursekit", "requirements.txt"], "", list)
    app.connect("config-inited", _forget_stale)
    app.connect("config-inited", _empty_output, priority=900)  # after all who may forget pages
    app.connect("env-before-read-docs", _note_read)
    app.connect("env-updated", _write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
