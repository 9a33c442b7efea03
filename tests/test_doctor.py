"""The doctor tells a sound computer from a broken one, in words that a person can act on."""

import builtins
import importlib.metadata
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from coursekit import doctor
from coursekit.doctor import Finding, Verdict

Usage = namedtuple("Usage", "total used free")


def refuse_import(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Make ``import name`` raise."""
    real = builtins.__import__

    def guarded(wanted, *args, **kwargs):
        if wanted == name:
            raise error
        return real(wanted, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)
    monkeypatch.delitem(sys.modules, name, raising=False)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def test_this_computer_can_run_the_course():
    problems = [finding for finding in doctor.examine() if finding.verdict is Verdict.PROBLEM]
    assert problems == []


def test_every_subject_of_the_course_is_examined():
    subjects = {finding.subject for finding in doctor.examine()}
    expected = {"Python", "torch", "CUDA", "Threads", "Disk", "bubblewrap", "Data", "jupyter-book", "nbgrader"}
    assert subjects == expected


def test_a_finding_that_is_not_ok_must_say_what_to_do():
    with pytest.raises(ValueError, match="needs advice, got none for 'Disk'"):
        Finding("Disk", Verdict.NOTE, "full")


def test_an_old_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    finding = only(doctor.check_python())
    assert finding.verdict is Verdict.PROBLEM
    assert "3.10.1" in finding.seen
    assert "3.11" in finding.advice


def test_missing_torch_is_a_problem_and_hides_no_other_check(monkeypatch):
    refuse_import(monkeypatch, "torch", ImportError("No module named 'torch'"))
    finding = only(doctor.check_torch())
    assert finding.verdict is Verdict.PROBLEM
    assert "No module named 'torch'" in finding.seen
    assert "make install" in finding.advice
    assert doctor.check_cuda() == doctor.check_threads() == []


def test_a_torchvision_built_for_another_torch_is_a_problem(monkeypatch):
    refuse_import(monkeypatch, "torchvision", RuntimeError("operator torchvision::nms does not exist"))
    finding = only(doctor.check_torch())
    assert finding.verdict is Verdict.PROBLEM
    assert "operator torchvision::nms does not exist" in finding.seen
    assert "do not belong together" in finding.advice


@pytest.mark.parametrize(
    ("driver", "words"), [(None, "no NVIDIA GPU"), ("/usr/bin/nvidia-smi", "a driver is there")], ids=["none", "driver"]
)
def test_no_usable_gpu_is_a_note(monkeypatch, driver, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    finding = only(doctor.check_cuda())
    assert finding.verdict is Verdict.NOTE
    assert words in finding.seen


def test_threads_are_right_when_they_match_the_cores_and_sleep(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert only(doctor.check_threads()).verdict is Verdict.OK


def test_more_threads_than_cores_and_spinning_threads_are_told(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10_000)
    finding = only(doctor.check_threads())
    assert finding.verdict is Verdict.NOTE
    assert "Set OMP_NUM_THREADS=" in finding.advice
    assert "Set OMP_WAIT_POLICY=PASSIVE" in finding.advice


@pytest.mark.parametrize(("free", "verdict"), [(3 * 1024**3, Verdict.OK), (1024**3, Verdict.NOTE)])
def test_disk_is_judged_by_free_space(monkeypatch, free, verdict):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, free))
    assert only(doctor.check_disk()).verdict is verdict


def test_disk_is_measured_where_the_data_folder_will_be(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "not" / "yet"))
    assert str(tmp_path) in only(doctor.check_disk()).seen


def test_no_bubblewrap_is_a_note_that_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    finding = only(doctor.check_bubblewrap())
    assert finding.verdict is Verdict.NOTE
    assert "apt install bubblewrap" in finding.advice


def test_a_bubblewrap_that_may_not_make_a_sandbox_is_a_note_with_its_complaint(monkeypatch, tmp_path):
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(refusing))
    finding = only(doctor.check_bubblewrap())
    assert finding.verdict is Verdict.NOTE
    assert "No permissions to create new namespace" in finding.seen


def test_a_bubblewrap_that_hangs_is_a_note(monkeypatch):
    def hang(command, **kwargs):
        raise subprocess.TimeoutExpired(command, 20)

    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/bwrap")
    monkeypatch.setattr(subprocess, "run", hang)
    assert "no answer after 20 s" in only(doctor.check_bubblewrap()).seen


def test_cifar10_is_found_in_either_layout(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path))
    assert only(doctor.check_data()).verdict is Verdict.NOTE
    (tmp_path / "cifar10.zip").touch()
    finding = only(doctor.check_data())
    assert finding.verdict is Verdict.OK
    assert "cifar10.zip" in finding.seen


def test_a_data_folder_that_is_a_file_is_a_problem(monkeypatch, tmp_path: Path):
    (tmp_path / "data").touch()
    monkeypatch.setenv("COURSEKIT_DATA", str(tmp_path / "data"))
    assert only(doctor.check_data()).verdict is Verdict.PROBLEM
    assert doctor.check_disk() == []


@pytest.mark.parametrize(
    ("versions", "verdicts"),
    [
        ({"jupyter-book": "1.0.4.post1", "nbgrader": "0.9.6"}, ["ok", "ok"]),
        ({"jupyter-book": "2.1.7", "nbgrader": "0.9.4"}, ["problem", "problem"]),
        ({"jupyter-book": "1.0.4"}, ["ok", "problem"]),
    ],
    ids=["right", "too new and too old", "missing"],
)
def test_book_tools_are_judged_by_version(monkeypatch, versions, verdicts):
    def version(package):
        if package not in versions:
            raise importlib.metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert [finding.verdict for finding in doctor.check_book_tools()] == verdicts
