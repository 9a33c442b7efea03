"""Where data sets live on this computer."""

import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["data_dir"]


def data_dir() -> Path:
    """Folder of the data sets: ``COURSEKIT_DATA`` if it is set, else the user's cache folder.

    The folder need not exist yet.

    Raises:
        NotADirectoryError: ``COURSEKIT_DATA`` names something that is not a folder.
    """
    named = os.environ.get("COURSEKIT_DATA")
    if not named:
        return user_cache_path("coursekit") / "data"
    path = Path(named).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"COURSEKIT_DATA must name a folder, {path} is a file")
    return path
