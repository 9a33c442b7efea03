"""The benchmarks' helper: figures pass and fail as they should, and memory is counted right."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def harness() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "_harness.py"
    spec = importlib.util.spec_from_file_location("benchmark_harness", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_figure_prints_the_line_others_read(harness):
    assert str(harness.Figure("a_ratio", 1.1234, "x", 2.5)) == "RESULT a_ratio 1.12 x target <= 2.5 PASS"
    assert str(harness.Figure("a_rate", 30, "images/s", 50, at_most=False)) == (
        "RESULT a_rate 30 images/s target >= 50 FAIL"
    )


@pytest.mark.parametrize("at_most", [True, False])
def test_a_figure_that_is_no_number_fails(harness, at_most):
    assert not harness.Figure("a_ratio", math.nan, "x", 2.5, at_most=at_most).passed


def test_the_worst_of_several_is_the_largest_or_nan(harness):
    assert harness.worst([1.0, 3.0, 2.0]) == 3.0
    assert math.isnan(harness.worst([1.0, math.nan, 2.0]))


def test_one_missed_target_gives_exit_code_one(harness, capsys):
    good, bad = harness.Figure("good", 1, "x", 2), harness.Figure("bad", 3, "x", 2)
    assert harness.finish(harness.Table(), [good]) == 0
    assert harness.finish(harness.Table(), [good, bad]) == 1
    assert capsys.readouterr().out.endswith("RESULT good 1 x target <= 2 PASS\nRESULT bad 3 x target <= 2 FAIL\n")


def test_peak_memory_is_what_is_held_at_once(harness):
    mebibyte = 2**20

    def one_after_the_other() -> torch.Tensor:
        for _ in range(3):
            last = torch.ones(mebibyte, dtype=torch.uint8)
            del last
        return torch.ones(1)

    def all_at_once() -> list[torch.Tensor]:
        return [torch.ones(mebibyte, dtype=torch.uint8) for _ in range(3)]

    assert harness.peak_bytes(one_after_the_other) == pytest.approx(mebibyte, rel=0.01)
    assert harness.peak_bytes(all_at_once) == pytest.approx(3 * mebibyte, rel=0.01)


def test_the_ratio_of_times_sees_who_works_more(harness):
    x = torch.ones(200, 200)

    def once() -> None:
        x @ x

    def eight_times() -> None:
        for _ in range(8):
            x @ x

    assert harness.compare_times(eight_times, once, rounds=5).ratio > 2
    assert harness.compare_times(once, eight_times, rounds=5).ratio < 0.5
