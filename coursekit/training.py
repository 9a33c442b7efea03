"""Training a classifier, small enough to be read in one sitting.

The pictures lie in memory as ``uint8``, are augmented a batch at a time on the model's device, and the learning rate
follows one cycle (Smith 2018): up, then down to almost nothing. The same seed gives the same history on a CPU, to the
last bit, as long as the number of threads stays the same.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from coursekit.data import ImageDataset

__all__ = ["History", "Metrics", "Recipe", "augment", "evaluate", "fit", "normalise", "parameter_groups", "predict"]

_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Recipe:
    """How to train: SGD with Nesterov momentum under a one-cycle learning rate.

    Args:
        epochs: passes over the training pictures, >= 1.
        batch_size: pictures a step, >= 1; the rest of an epoch that fills no batch is left out of it.
        lr: highest learning rate of the cycle, > 0.
        momentum: of SGD, above 0 and below 1.
        weight_decay: L2 penalty on weights; never on biases and on normalisation layers.
        label_smoothing: share of the target spread over all classes, 0 to below 1.
        flip: mirror every other picture, left to right.
        pad_crop: move each picture by up to this many pixels along both axes, its border reflected; 0 turns it off.

    Raises:
        ValueError: a value is out of its range; names it.
    """

    epochs: int = 10
    batch_size: int = 64
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    flip: bool = True
    pad_crop: int = 2

    def __post_init__(self) -> None:
        for name, low in (("epochs", 1), ("batch_size", 1), ("weight_decay", 0), ("pad_crop", 0)):
            if not getattr(self, name) >= low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be positive and finite, got {self.lr}")
        if not 0 < self.momentum < 1:
            raise ValueError(f"momentum must lie between 0 and 1 (Nesterov needs some), got {self.momentum}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in 0..1, 1 excluded, got {self.label_smoothing}")


@dataclass(frozen=True)
class Metrics:
    """What ``evaluate`` found: share of right answers, mean cross-entropy in nats, and over how many pictures."""

    accuracy: float
    loss: float
    count: int


@dataclass(frozen=True)
class History:
    """One training run. Two runs are equal when every curve is; time does not count.

    Args:
        recipe: what was asked for.
        seed: of shuffling, augmentation and random layers.
        loss: mean training loss of each epoch, in nats.
        accuracy: share of right answers on the augmented training batches of each epoch.
        valid_loss: loss on the validation pictures after each epoch; empty without them.
        valid_accuracy: accuracy there; empty without them.
        seconds: wall time of training, without validation.
        images_per_second: training pictures a second.
    """

    recipe: Recipe
    seed: int
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    valid_loss: tuple[float, ...]
    valid_accuracy: tuple[float, ...]
    seconds: float = field(compare=False)
    images_per_second: float = field(compare=False)


def fit(
    model: nn.Module,
    train: ImageDataset,
    valid: ImageDataset | None,
    recipe: Recipe,
    *,
    seed: int = 0,
    progress: bool = True,
) -> History:
    """Trains ``model`` in place, on the device it lies on.

    Args:
        model: maps normalised pictures (N, 3, H, W) to scores (N, classes). Its memory format becomes
            ``channels_last``.
        train: training pictures.
        valid: pictures to measure after each epoch, or None.
        recipe: how to train.
        seed: of everything random here, layers such as dropout included; the caller's random state is left alone.
            The initial weights are the caller's.
        progress: whether to show a progress bar.

    Returns:
        The curves of the run.

    Raises:
        ValueError: a data set is empty or the two have different classes, the model has nothing to train, or its
            scores do not fit the classes.
        FloatingPointError: the loss became infinite or NaN; names the step and the likely cause.
    """
    _check_data(train, valid)
    device = _device(model)
    model.to(memory_format=torch.channels_last)
    batch_size = min(recipe.batch_size, len(train))
    steps = len(train) // batch_size
    optimizer = torch.optim.SGD(
        parameter_groups(model, recipe.weight_decay), lr=recipe.lr, momentum=recipe.momentum, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, total_steps=steps * recipe.epochs, cycle_momentum=False
    )
    images, labels = train.images.to(device), train.labels.to(device)
    curves: dict[str, list[float]] = {"loss": [], "accuracy": [], "valid_loss": [], "valid_accuracy": []}
    seconds = 0.0
    generator = torch.Generator().manual_seed(seed)
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        tqdm(total=recipe.epochs * steps * batch_size, unit=" images", disable=not progress) as bar,
    ):
        torch.manual_seed(seed)
        for epoch in range(recipe.epochs):
            start = time.perf_counter()
            model.train()
            total_loss, right = 0.0, 0
            for step, picked in enumerate(_batches(len(train), batch_size, generator), epoch * steps):
                inputs = normalise(augment(images, picked.to(device), recipe, generator))
                loss, hits = _step(model, inputs, labels[picked.to(device)], len(train.classes), recipe, optimizer)
                if not math.isfinite(loss):
                    raise FloatingPointError(_divergence(loss, step, recipe))
                schedule.step()
                total_loss += loss
                right += hits
                bar.update(batch_size)
            seconds += time.perf_counter() - start
            curves["loss"].append(total_loss / steps)
            curves["accuracy"].append(right / (steps * batch_size))
            if valid is not None:
                metrics = evaluate(model, valid)
                curves["valid_loss"].append(metrics.loss)
                curves["valid_accuracy"].append(metrics.accuracy)
            bar.set_postfix({name: f"{values[-1]:.3f}" for name, values in curves.items() if values})
    frozen = {name: tuple(values) for name, values in curves.items()}
    return History(
        recipe, seed, **frozen, seconds=seconds, images_per_second=recipe.epochs * steps * batch_size / seconds
    )


def evaluate(model: nn.Module, data: ImageDataset, *, batch_size: int = 256) -> Metrics:
    """Accuracy and loss of ``model`` on ``data``; the model's mode is left as it was.

    Raises:
        ValueError: the data set is empty, or the scores do not fit its classes.
    """
    if not len(data):
        raise ValueError(f"there is nothing to evaluate: {data!r} is empty")
    scores = _scores(model, data.images, batch_size)
    _check_scores(scores, len(data.classes))
    loss = functional.cross_entropy(scores, data.labels).item()
    return Metrics((scores.argmax(1) == data.labels).double().mean().item(), loss, len(data))


def predict(model: nn.Module, images: Tensor, *, batch_size: int = 256) -> Tensor:
    """Class with the highest score for each ``uint8`` picture (N, 3, H, W): ``int64``, (N,), on the CPU."""
    return _scores(model, images, batch_size).argmax(1)


def normalise(images: Tensor) -> Tensor:
    """Pictures as a network sees them: ``uint8`` 0..255 to ``float32`` -2..2, the same for every data set.

    (x / 255 - 0.5) / 0.25, in ``channels_last`` order.
    """
    inputs = images.to(torch.float32, memory_format=torch.channels_last)
    return inputs.mul_(4 / 255).sub_(2.0)


def augment(images: Tensor, picked: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """The pictures at ``picked``, each moved and mirrored by its own random draw.

    One indexing operation moves the whole batch: pixel (y, x) of a result is pixel (y + dy, x + dx) of its picture,
    mirrored back where that lies outside.

    Args:
        images: all pictures, ``uint8``, (N, C, H, W).
        picked: positions of the batch, (B,).
        recipe: its ``flip`` and ``pad_crop`` are used.
        generator: of the random draws, on the CPU.

    Returns:
        (B, C, H, W), ``uint8``.
    """
    if not recipe.flip and not recipe.pad_crop:
        return images[picked]
    count, (height, width) = len(picked), images.shape[-2:]
    rows = torch.arange(height).expand(count, height)
    columns = torch.arange(width).expand(count, width)
    if recipe.pad_crop:
        reach = recipe.pad_crop
        moves = torch.randint(-reach, reach + 1, (2, count, 1), generator=generator)
        rows, columns = _reflect(rows + moves[0], height), _reflect(columns + moves[1], width)
    if recipe.flip:
        mirrored = torch.rand(count, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    rows, columns = rows.to(images.device), columns.to(images.device)
    batch = images[picked[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (B, H, W, C)
    return batch.permute(0, 3, 1, 2)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Two groups for an optimizer: weights that decay, and biases, norms and single numbers that do not.

    Decay pulls weights towards zero. Behind a normalisation the scale of a weight does not matter, but the scale and
    shift of the normalisation itself do, and a bias holds too few numbers to overfit.

    Raises:
        ValueError: no parameter requires a gradient.
    """
    decayed: dict[Tensor, None] = {}  # used as ordered sets: a shared parameter belongs to one group, once
    free: dict[Tensor, None] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                spared = isinstance(module, _NORMS) or name.endswith("bias") or parameter.ndim < 2
                (free if spared else decayed)[parameter] = None
    if not decayed and not free:
        raise ValueError(f"there is nothing to train: no parameter of {type(model).__name__} requires a gradient")
    return [
        {"params": list(decayed), "weight_decay": weight_decay},
        {"params": [parameter for parameter in free if parameter not in decayed], "weight_decay": 0.0},
    ]


def _step(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    classes: int,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
) -> tuple[float, int]:
    """One update; returns the loss and how many answers were right before it."""
    scores = model(inputs)
    _check_scores(scores, classes)
    loss = functional.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item(), int((scores.argmax(1) == labels).sum())


def _batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def _reflect(index: Tensor, length: int) -> Tensor:
    """Positions outside 0..length-1 mirrored at the first or the last pixel, which is not repeated."""
    last = length - 1
    return (last - (last - index.abs()).abs()).clamp_(0, last)


@torch.inference_mode()
def _scores(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    device, training = _device(model), model.training
    model.eval()
    try:
        parts = [model(normalise(part.to(device))).float().cpu() for part in images.split(batch_size)]
    finally:
        model.train(training)
    return torch.cat(parts)


def _device(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _check_data(train: ImageDataset, valid: ImageDataset | None) -> None:
    for name, data in (("train", train), ("valid", valid)):
        if data is not None and not len(data):
            raise ValueError(f"{name} must hold at least one picture, got {data!r}")
    if valid is not None and train.classes != valid.classes:
        raise ValueError(f"train and valid must have the same classes, got {train.classes} and {valid.classes}")


def _check_scores(scores: Tensor, classes: int) -> None:
    if scores.ndim != 2 or scores.shape[1] != classes:
        raise ValueError(f"the model must give one score per class, (N, {classes}), got {tuple(scores.shape)}")


def _divergence(loss: float, step: int, recipe: Recipe) -> str:
    if step == 0:
        cause = "the network gives such values before any update; look for a division or logarithm of zero in it"
    else:
        cause = f"the learning rate is probably too high; try lr={recipe.lr / 10:g} instead of {recipe.lr:g}"
    return f"the loss is {loss} at step {step}: {cause}"
