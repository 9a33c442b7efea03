"""The command line says what it does, and its exit code says how it went."""

import subprocess
import sys

from click.testing import CliRunner

from coursekit import doctor
from coursekit.cli import main
from coursekit.doctor import Finding, Verdict


def test_doctor_prints_findings_with_advice_and_succeeds(monkeypatch):
    note = Finding("CUDA", Verdict.NOTE, "no NVIDIA GPU", "Nothing to do.")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: [Finding("Python", Verdict.OK, "3.11.7"), note],))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert "Nothing to do." in result.output
    assert "Ready: no problems, 1 note(s)." in result.output


def test_doctor_fails_when_there_is_a_problem(monkeypatch):
    problem = Finding("torch", Verdict.PROBLEM, "does not import: [Errno 2] libc", "Run `make install`.")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: [problem],))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "[Errno 2] libc" in result.output  # brackets are text here, not markup
    assert "1 problem(s) to mend first" in result.output


def test_help_and_doctor_do_not_need_torch():
    code = "import sys; import coursekit.cli, coursekit.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
