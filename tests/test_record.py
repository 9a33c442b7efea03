"""Recording: a small run goes through from end to end, and the checked-in record is what chapters rely on."""

from datetime import date
from statistics import mean, stdev

import pytest
import torch
from torch import nn

from coursekit import record
from coursekit.data import parcels
from coursekit.record import downsampling
from coursekit.record.provenance import describe_hardware, package_versions, today
from coursekit.results import Result, load_result

TINY = {
    "train_count": 64,
    "test_count": 24,
    "shift_count": 12,
    "max_shift": 3,
    "size": 16,
    "widths": (4, 4, 8),
    "wider": (6, 6, 8),
    "epochs": 1,
    "seeds": 2,
}


def check_downsampling(result: Result) -> None:
    """Every entry is there, of the right length, in range, and consistent with the others."""
    shifts, seeds = result["shifts"], len(result.seeds)
    assert shifts == list(range(1, result.settings["max_shift"] + 1))
    assert list(result["methods"]) == ["max", "average", "strided", "blur"]
    assert list(result["control"]) == ["strided_wider"]
    for entry in (*result["methods"].values(), *result["control"].values()):
        assert len(entry["accuracy"]) == len(entry["train_accuracy"]) == len(entry["consistency"]) == seeds
        assert all(0 <= value <= 1 for value in entry["accuracy"] + entry["train_accuracy"])
        assert all(len(curve) == len(shifts) for curve in entry["consistency"])
        assert all(0 <= share <= 1 for curve in entry["consistency"] for share in curve)
        assert entry["accuracy_mean"] == pytest.approx(mean(entry["accuracy"]), abs=1e-5)
        assert entry["accuracy_spread"] == pytest.approx(stdev(entry["accuracy"]), abs=1e-5)
        assert entry["label"]
    equal = {entry["parameters"] for entry in result["methods"].values()}
    assert len(equal) == 1
    for method, entry in result["methods"].items():
        model = downsampling.build_network(method, entry["widths"], 4)
        assert entry["parameters"] == sum(parameter.numel() for parameter in model.parameters())
        assert entry["macs"] == downsampling.count_macs(model, result.settings["size"])


def test_names_lists_what_can_be_recorded():
    assert record.names() == ("downsampling",)


def test_a_small_run_goes_through_and_can_be_repeated(tmp_path):
    first = record.run("downsampling", tmp_path / "a", progress=False, workers=1, **TINY)
    assert first == tmp_path / "a" / "downsampling.json"
    result = load_result("downsampling", tmp_path / "a")
    check_downsampling(result)
    assert result.seeds == [0, 1]
    assert result.settings["widths"] == [4, 4, 8]
    assert result.settings["recipe_epochs"] == 1
    assert result.command.startswith("coursekit.record.run('downsampling', workers=1, train_count=64")
    assert "64 to train and 24 to test" in result.provenance()
    record.run("downsampling", tmp_path / "b", progress=False, workers=1, **TINY)
    assert load_result("downsampling", tmp_path / "b").figures == result.figures


@pytest.mark.slow
def test_two_workers_find_the_same_as_one(tmp_path):
    for workers in (1, 2):
        record.run("downsampling", tmp_path / str(workers), progress=False, workers=workers, **TINY)
    one, two = (load_result("downsampling", tmp_path / str(workers)).figures for workers in (1, 2))
    assert one == two


def test_the_recorded_run_is_complete_and_was_made_by_the_command():
    result = load_result("downsampling")
    check_downsampling(result)
    assert result.command == "coursekit record downsampling"
    assert len(result.seeds) == 5
    assert result["shifts"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert date.fromisoformat(result.date) >= date(2025, 1, 1)
    assert all(min(entry["accuracy"]) > 0.5 for entry in result["methods"].values())  # chance is 0.25
    settings = downsampling.Settings()
    for name in ("train_count", "test_count", "shift_count", "epochs", "size"):
        assert result.settings[name] == getattr(settings, name)


def test_what_cannot_be_recorded_is_refused(tmp_path):
    with pytest.raises(ValueError, match="name must be one of downsampling, got 'upsampling'"):
        record.run("upsampling", tmp_path)
    with pytest.raises(TypeError, match="depth"):
        record.run("downsampling", tmp_path, depth=3)
    with pytest.raises(ValueError, match="seeds must be at least 2 to show a spread, got 1"):
        record.run("downsampling", tmp_path, progress=False, seeds=1)
    with pytest.raises(ValueError, match="method must be one of max, average, blur, strided, got 'min'"):
        downsampling.build_network("min", (4, 4, 8), 4)


@pytest.mark.parametrize("method", downsampling.METHODS)
def test_every_method_halves_the_map_at_each_stage(method):
    model = downsampling.build_network(method, (4, 6, 8), 4).eval()
    sizes = []
    for module in model:
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-1]))
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 4)
    assert sizes == [32, 16, 8, 4]


def test_macs_by_hand():
    # 3x3 convolutions 3>4 on 32x32, 4>6 on 16x16, 6>8 on 8x8, 8>8 on 4x4, then 8>4; a stride divides by four.
    stages = (27 * 4 * 32**2, 36 * 6 * 16**2, 54 * 8 * 8**2)
    head = 72 * 8 * 4**2 + 8 * 4
    macs = {
        method: downsampling.count_macs(downsampling.build_network(method, (4, 6, 8), 4), 32)
        for method in downsampling.METHODS
    }
    assert macs["max"] == macs["average"] == sum(stages) + head
    assert macs["strided"] == sum(stages) // 4 + head
    assert macs["blur"] == macs["max"] + 9 * (4 * 16**2 + 6 * 8**2 + 8 * 4**2)


class Where(nn.Module):
    """Says in which column (of ``columns`` equal ones) the brightest pixel lies."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_max_pool2d(x[:, :1], (1, self.columns)).flatten(1)


def test_consistency_is_one_for_an_answer_that_no_shift_changes():
    images = parcels(8, 16, border=4).images
    assert downsampling.shift_consistency(Where(1), images, 16, 5) == [1.0] * 5


def test_consistency_counts_the_answers_that_a_shift_changes():
    # One bright pixel a picture, in the middle of a 24-pixel frame: crops of 16 see it at columns 16-o, o = 2..6.
    images = torch.zeros(1, 3, 24, 24, dtype=torch.uint8)
    images[:, :, 12, 12] = 255
    # Two halves of 8 columns: crops that start at 2, 3, 4 see it on the right, those at 5, 6 on the left.
    # Along x, shift 1: 3 of 4 pairs agree; 2: 1 of 3; 3: 0 of 2; 4: 0 of 1. Along y nothing changes.
    assert downsampling.shift_consistency(Where(2), images, 16, 4) == pytest.approx(
        [(3 + 4) / 8, (1 + 3) / 6, (0 + 2) / 4, (0 + 1) / 2], abs=1e-6
    )


def test_pictures_too_small_to_be_shifted_are_refused():
    with pytest.raises(ValueError, match="images must be at least 20 pixels high and wide, got 18x18"):
        downsampling.shift_consistency(Where(1), parcels(2, 16, border=1).images, 16, 4)


def test_provenance_names_what_computed():
    assert "cores" in describe_hardware()
    assert package_versions()["torch"] == torch.__version__
    assert date.fromisoformat(today()) <= date.today()
