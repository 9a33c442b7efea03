"""Training: it learns, it repeats to the last bit, and it says what went wrong."""

import math

import pytest
import torch
from torch import nn

from coursekit.data import ImageDataset
from coursekit.training import (
    Recipe,
    augment,
    evaluate,
    fit,
    normalise,
    parameter_groups,
    predict,
)

QUICK = Recipe(epochs=3, batch_size=16, lr=0.05, pad_crop=1)


def toy(count: int = 96, seed: int = 0) -> ImageDataset:
    """Two classes that differ in colour, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = torch.randint(0, 120, (count, 3, 8, 8), generator=generator)
    images[labels == 1, 0] += 60
    return ImageDataset(images.to(torch.uint8), labels, ("grey", "red"), "toy")


def network(seed: int = 0, classes: int = 2) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, classes),
    )


def test_fit_learns_what_can_be_separated():
    model = network()
    before = evaluate(model, toy(seed=1)).accuracy
    history = fit(model, toy(), toy(seed=1), QUICK, progress=False)
    assert before < 0.9
    assert history.valid_accuracy[-1] == 1.0
    assert history.loss[-1] < history.loss[0]
    assert len(history.loss) == len(history.accuracy) == len(history.valid_loss) == 3


def test_the_same_seed_gives_the_same_history_to_the_last_bit():
    runs = [fit(network(), toy(), toy(seed=1), QUICK, seed=seed, progress=False) for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0].loss != runs[2].loss
    assert runs[0].seconds > 0
    assert runs[0].images_per_second == pytest.approx(96 * 3 / runs[0].seconds)


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before():
    models = [network(), network()]
    for drawn_before, model in enumerate(models):
        torch.manual_seed(100 + drawn_before)
        fit(model, toy(), None, QUICK, seed=5, progress=False)
    for first, second in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        assert torch.equal(first, second)


def test_fit_leaves_the_random_state_of_the_caller_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    model = network()
    torch.manual_seed(7)
    fit(model, toy(), None, QUICK, progress=False)
    assert torch.equal(torch.rand(3), expected)


def test_without_validation_pictures_those_curves_are_empty():
    history = fit(network(), toy(), None, QUICK, progress=False)
    assert history.valid_loss == history.valid_accuracy == ()


def test_every_picture_that_fills_a_batch_is_seen_once_an_epoch():
    seen = []
    model = network()
    model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    data = toy(42)
    fit(model, data, None, Recipe(epochs=1, batch_size=16, flip=False, pad_crop=0), progress=False)
    assert [len(batch) for batch in seen] == [16, 16]
    wanted = {picture.numpy().tobytes() for picture in normalise(data.images).contiguous()}
    got = [picture.contiguous().numpy().tobytes() for batch in seen for picture in batch]
    assert len(set(got)) == 32
    assert set(got) <= wanted


def test_fewer_pictures_than_a_batch_still_train():
    assert len(fit(network(), toy(6), None, Recipe(epochs=2, batch_size=64), progress=False).loss) == 2


def test_the_learning_rate_goes_up_to_its_peak_and_down_to_almost_nothing(monkeypatch):
    rates = []
    real = torch.optim.SGD.step

    def step(self, *arguments, **options):
        rates.append(self.param_groups[0]["lr"])
        return real(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    fit(network(), toy(), None, Recipe(epochs=5, batch_size=8, lr=0.2), progress=False)
    assert len(rates) == 60
    assert max(rates) == pytest.approx(0.2, rel=1e-3)
    assert rates[0] < 0.01
    assert rates[-1] < 0.001


def test_decay_pulls_on_weights_but_not_on_norms_biases_and_single_numbers():
    class Mixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit = nn.Parameter(torch.zeros(()))

    convolution, norm, map_norm, linear = (
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.LayerNorm((8, 4, 4)),
        nn.Linear(8, 2),
    )
    model = nn.Sequential(convolution, norm, map_norm, Mixing(), linear, convolution)
    decayed, free = parameter_groups(model, 0.01)
    assert decayed["weight_decay"] == 0.01
    assert free["weight_decay"] == 0.0
    assert [id(p) for p in decayed["params"]] == [id(convolution.weight), id(linear.weight)]
    spared = [convolution.bias, norm.weight, norm.bias, map_norm.weight, map_norm.bias, model[3].logit, linear.bias]
    assert [id(p) for p in free["params"]] == [id(p) for p in spared]


def test_frozen_parameters_are_in_no_group():
    model = network()
    model[0].requires_grad_(False)
    decayed, free = parameter_groups(model, 0.01)
    assert [id(p) for p in decayed["params"]] == [id(model[6].weight)]
    assert len(free["params"]) == 3
    with pytest.raises(ValueError, match="no parameter of Sequential requires a gradient"):
        parameter_groups(model.requires_grad_(False), 0.01)


def test_a_loss_that_explodes_stops_with_the_step_and_the_likely_cause():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.Linear(32, 32), nn.Linear(32, 2))
    with pytest.raises(
        FloatingPointError, match=r"at step [1-9]\d*: the learning rate .* try lr=1000 instead of 10000"
    ):
        fit(model, toy(), None, Recipe(epochs=3, batch_size=16, lr=10000.0), progress=False)


def test_a_loss_that_is_nan_from_the_start_blames_the_network():
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(192, 2)

        def forward(self, x):
            return self.linear(x.flatten(1)) * math.nan

    with pytest.raises(FloatingPointError, match="the loss is nan at step 0: the network gives such values before"):
        fit(Broken(), toy(), None, QUICK, progress=False)


def test_empty_and_mismatched_data_are_refused():
    other = ImageDataset(toy().images, toy().labels, ("cat", "dog"), "other")
    with pytest.raises(ValueError, match="train must hold at least one picture"):
        fit(network(), toy(0), toy(), QUICK, progress=False)
    with pytest.raises(ValueError, match="valid must hold at least one picture"):
        fit(network(), toy(), toy(0), QUICK, progress=False)
    with pytest.raises(ValueError, match="must have the same classes, got"):
        fit(network(), toy(), other, QUICK, progress=False)
    with pytest.raises(ValueError, match="is empty"):
        evaluate(network(), toy(0))
    with pytest.raises(ValueError, match=r"one score per class, \(N, 2\), got \(16, 5\)"):
        fit(network(classes=5), toy(), None, QUICK, progress=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"lr": math.nan}, "lr must be positive"),
        ({"momentum": 1.0}, "momentum must lie between 0 and 1"),
        ({"momentum": 0.0}, "momentum must lie between 0 and 1"),
        ({"weight_decay": -1e-4}, "weight_decay must be at least 0"),
        ({"label_smoothing": 1.0}, "label_smoothing must lie in"),
        ({"pad_crop": -1}, "pad_crop must be at least 0"),
    ],
)
def test_a_recipe_refuses_values_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**wrong)


def test_evaluate_counts_right_answers_and_keeps_the_mode():
    class Red(nn.Module):
        def forward(self, x):
            return torch.stack([-x[:, 0].mean((1, 2)), x[:, 0].mean((1, 2))], dim=1)

    images = torch.zeros(10, 3, 4, 4, dtype=torch.uint8)
    images[6:, 0] = 255
    data = ImageDataset(images, torch.tensor([0] * 5 + [1] * 5), ("dark", "red"), "ten")
    model = Red().train()
    metrics = evaluate(model, data, batch_size=3)
    assert metrics.accuracy == pytest.approx(0.9)
    assert metrics.count == 10
    right, wrong = math.log1p(math.exp(-4)), math.log1p(math.exp(4))  # scores are -2 and 2
    assert metrics.loss == pytest.approx((9 * right + wrong) / 10, rel=1e-5)
    assert model.training
    assert predict(model, data.images).tolist() == [0] * 6 + [1] * 4


def test_evaluation_does_not_depend_on_the_batch_size():
    model = network()
    small, large = (evaluate(model, toy(), batch_size=size) for size in (7, 96))
    assert small.accuracy == large.accuracy
    assert small.loss == pytest.approx(large.loss, rel=1e-5)


def test_normalise_maps_bytes_to_minus_two_to_two():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    assert normalise(images).flatten().tolist() == pytest.approx([-2.0, -1.2, 2.0], abs=1e-6)
    assert images.flatten().tolist() == [0, 51, 255]
    assert normalise(torch.zeros(2, 3, 4, 4, dtype=torch.uint8)).is_contiguous(memory_format=torch.channels_last)


def test_augment_moves_and_mirrors_each_picture_by_its_own_draw():
    picture = torch.arange(30, dtype=torch.uint8).view(1, 1, 5, 6).expand(1, 3, 5, 6)
    batch = augment(picture, torch.zeros(400, dtype=torch.int64), Recipe(pad_crop=2), torch.Generator().manual_seed(0))
    padded = nn.functional.pad(picture.float(), (2, 2, 2, 2), mode="reflect")
    possible = {}
    for dy in range(5):
        for dx in range(5):
            crop = padded[0, :, dy : dy + 5, dx : dx + 6].to(torch.uint8)
            possible[crop.numpy().tobytes()] = (dy, dx, False)
            possible[crop.flip(2).contiguous().numpy().tobytes()] = (dy, dx, True)
    found = [possible[result.contiguous().numpy().tobytes()] for result in batch]
    assert len(set(found)) == 50  # every move, mirrored and not


def test_augment_can_be_turned_off():
    data = toy()
    picked = torch.tensor([5, 2])
    recipe = Recipe(flip=False, pad_crop=0)
    assert torch.equal(augment(data.images, picked, recipe, torch.Generator()), data.images[picked])
    moved = augment(data.images, picked, Recipe(flip=True, pad_crop=0), torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(2)) for a, b in zip(moved, data.images[picked], strict=True))
