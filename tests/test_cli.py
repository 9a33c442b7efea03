"""The command line says what it does, and its exit code says how it went."""

import subprocess
import sys

import pandas as pd
import pytest
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


OWN_NETWORKS = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))

def signal():
    return nn.Conv1d(2, 4, 5)

class Fails(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

ready = Net()
"""


@pytest.fixture
def own_networks(tmp_path, monkeypatch):
    (tmp_path / "cli_networks.py").write_text(OWN_NETWORKS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("cli_networks", None)


def command(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, words, env={"COLUMNS": "140"})
    assert result.exit_code == code, result.output
    return result.output


def test_trace_of_a_network_of_the_list():
    text = command("trace", "resnet20", "--size", "32")
    assert "input 1 × 3 × 32 × 32" in text
    assert "269,722 parameters, 40.6 M" in text
    assert "Training" not in text
    assert "Training: at most" in command("trace", "resnet20", "--size", "32", "--training", "--batch", "2")


def test_depth_of_the_table():
    assert "layer1" not in command("trace", "resnet20", "--size", "32", "--depth", "0")
    assert "layer1" in command("trace", "resnet20", "--size", "32", "--depth", "1")


@pytest.mark.parametrize("name", ["Net", "ready"])
def test_trace_of_a_network_in_the_current_folder_as_a_table_and_as_csv(own_networks, name):
    text = command("trace", f"cli_networks:{name}", "--size", "16x24", "--csv", "rows.csv")
    assert "Conv2d" in text
    rows = pd.read_csv(own_networks / "rows.csv")
    assert rows.kind.tolist() == ["Net", "Conv2d", "ReLU", "Conv2d"]
    assert rows.macs.tolist()[1] == 8 * 12 * 4 * 27


@pytest.mark.usefixtures("own_networks")
def test_one_axis():
    assert "1 × 2 × 160" in command("trace", "cli_networks:signal", "--size", "160x", "--channels", "2")
    assert "length" in command("rf", "cli_networks:signal", "--size", "160x", "--channels", "2")


@pytest.mark.usefixtures("own_networks")
@pytest.mark.parametrize("name", ["rf", "trace"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet51"], "no network is called 'resnet51'; did you mean resnet"),
        (["nowhere:Net"], "no module is called 'nowhere'"),
        (["cli_networks:Nut"], "module 'cli_networks' has no 'Nut'"),
        (["cli_networks:Fails"], "the model itself (Fails) asks for the values of a tensor"),
        (["cli_networks:Net", "--size", "0"], "input_size must be at least 1, got 0"),
        (["cli_networks:Net", "--channels", "4"], "layer '0' raised RuntimeError"),
        (["cli_networks:signal"], "the model itself (Conv1d) raised RuntimeError"),
    ],
)
def test_errors_are_one_line_and_the_code_is_1(name, words, message):
    text = command(name, *words, code=1)
    assert text.startswith("Error: ")
    assert len(text.splitlines()) == 1
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize("size", ["big", "224x", "x", "32x32x", "3.5", ""])
def test_a_size_that_is_none(size):
    if size == "224x":  # one axis: understood, and refused by the network
        assert "raised RuntimeError" in command("rf", "resnet20", "--size", size, code=1)
    else:
        assert "must look like 224, 224x320 or, for one axis, 16000x" in command(
            "rf", "resnet20", "--size", size, code=2
        )


@pytest.mark.usefixtures("own_networks")
def test_receptive_field_of_the_last_map_and_of_a_layer():
    text = command("rf", "cli_networks:Net", "--size", "16x24")
    assert "Receptive field of '2'" in text
    for row in ("height", "width"):
        assert [cell.strip() for cell in next(line for line in text.splitlines() if row in line).split("│")[1:5]] == [
            row,
            "7",
            "2",
            "−3",
        ]
    assert "Receptive field of '0'" in command("rf", "cli_networks:Net", "--size", "16", "--layer", "0")
    assert "did you mean" in command("rf", "resnet20", "--size", "32", "--layer", "layer1.0.conv3", code=1)


@pytest.mark.usefixtures("own_networks")
def test_receptive_fields_of_all_layers_and_the_check_on_the_real_network():
    assert "7 × 7" in command("rf", "cli_networks:Net", "--size", "16", "--all")
    assert "Verified" in command("rf", "cli_networks:Net", "--size", "16", "--verify")
    assert "Verified" not in command("rf", "cli_networks:Net", "--size", "16")
