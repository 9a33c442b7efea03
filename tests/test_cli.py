"""The command line says what it does, and its exit code says how it went."""

import subprocess
import sys

from click.testing import CliRunner

from coursekit import doctor
from coursekit import record as experiments
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


def test_record_lists_what_can_be_recorded():
    result = CliRunner().invoke(main, ["record"])
    assert result.exit_code == 0
    assert "downsampling" in result.output.split()


def test_record_hands_the_name_on_and_says_where_the_result_is(monkeypatch):
    monkeypatch.setattr(experiments, "run", lambda name: f"results/{name}.json")
    result = CliRunner().invoke(main, ["record", "downsampling"])
    assert result.exit_code == 0
    assert result.output == "Written: results/downsampling.json\n"


def test_an_unknown_record_is_refused_with_the_known_ones():
    result = CliRunner().invoke(main, ["record", "upsampling"])
    assert result.exit_code == 2
    assert "must be one of downsampling, got 'upsampling'" in result.output
