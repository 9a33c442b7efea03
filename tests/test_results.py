"""Recorded runs: written whole or not at all, read back with their provenance."""

import dataclasses
import json
import os

import pytest

from coursekit.results import Result, load_result, results_folder, save_result


@pytest.fixture
def result() -> Result:
    return Result(
        name="toy-run",
        command="coursekit record toy-run",
        date="2025-03-04",
        hardware="a processor, 2 cores",
        versions={"torch": "2.11.0"},
        data="ten pictures",
        seeds=[0, 1, 2],
        settings={"epochs": 3},
        figures={"accuracy": [0.5, 0.625, 0.1], "name": "x"},
        seconds=312.4,
    )


def test_what_is_saved_is_loaded(result, tmp_path):
    path = save_result(result, tmp_path / "new")
    assert path == tmp_path / "new" / "toy-run.json"
    assert load_result("toy-run", tmp_path / "new") == result
    assert '"accuracy": [0.5, 0.625, 0.1]' in path.read_text()


def test_figures_are_read_by_name(result):
    assert result["accuracy"] == [0.5, 0.625, 0.1]
    with pytest.raises(KeyError, match="has no figure 'loss'; it has accuracy, name"):
        result["loss"]


def test_provenance_is_one_sentence(result):
    assert result.provenance() == (
        "Recorded on 4 March 2025 with `coursekit record toy-run` (ten pictures; 3 seeds; a processor, 2 cores; "
        "PyTorch 2.11.0; 5 minutes)."
    )
    one = dataclasses.replace(result, seeds=[0], seconds=9.6)
    assert "; 1 seed;" in one.provenance()
    assert one.provenance().endswith("; 10 s).")


def test_a_missing_run_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it with: coursekit record not-there"):
        load_result("not-there", tmp_path)


@pytest.mark.parametrize("name", ["../secret", "a/b", "", "A", ".hidden", "x.json"])
def test_names_cannot_leave_the_folder(name, tmp_path, result):
    with pytest.raises(ValueError, match="name must consist of"):
        load_result(name, tmp_path)
    with pytest.raises(ValueError, match="name must consist of"):
        save_result(dataclasses.replace(result, name=name), tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[]", b'{"name": "toy-run"}'])
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "toy-run.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"toy-run\.json .*make it again with: coursekit record toy-run"):
        load_result("toy-run", tmp_path)


def test_an_unknown_entry_is_refused(result, tmp_path):
    path = save_result(result, tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra": 1}))
    with pytest.raises(ValueError, match=r"unknown: \['extra'\]"):
        load_result("toy-run", tmp_path)


def test_nan_is_not_written_and_the_old_file_stays(result, tmp_path):
    save_result(result, tmp_path)
    broken = dataclasses.replace(result, figures={"accuracy": [float("nan")]})
    with pytest.raises(ValueError, match="JSON compliant"):
        save_result(broken, tmp_path)
    assert load_result("toy-run", tmp_path) == result


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_rest(result, tmp_path, monkeypatch):
    save_result(result, tmp_path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_result(dataclasses.replace(result, seconds=1.0), tmp_path)
    assert load_result("toy-run", tmp_path) == result
    assert os.listdir(tmp_path) == ["toy-run.json"]


def test_the_folder_can_be_chosen_by_an_environment_variable(result, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESULTS", str(tmp_path))
    assert results_folder() == tmp_path
    save_result(result)
    assert load_result("toy-run") == result
    monkeypatch.delenv("COURSEKIT_RESULTS")
    assert results_folder().name == "results"
    assert (results_folder().parent / "pyproject.toml").is_file()
