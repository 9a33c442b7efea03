"""The data folder is the one that COURSEKIT_DATA names, else one in the user's cache."""

from pathlib import Path

import pytest

from coursekit.paths import data_dir


def test_the_variable_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "new"))
    assert data_dir() == tmp_path / "new"


def test_a_relative_name_becomes_absolute_and_a_tilde_the_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSEKIT_DATA", "data")
    assert data_dir() == tmp_path / "data"
    monkeypatch.setenv("COURSEKIT_DATA", "~/data")
    assert data_dir() == Path.home() / "data"


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_it_is_the_cache_folder(monkeypatch, tmp_path, value):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("COURSEKIT_DATA", raising=False)
    else:
        monkeypatch.setenv("COURSEKIT_DATA", value)
    assert data_dir().parts[-2:] == ("coursekit", "data")


def test_a_file_is_refused_by_name(monkeypatch, tmp_path):
    (tmp_path / "data").touch()
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "data"))
    with pytest.raises(NotADirectoryError, match="must name a folder"):
        data_dir()
