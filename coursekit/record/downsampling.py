"""Four ways to make feature maps smaller, in the same small network, on the same parcels.

Everything but the downsampling is equal: widths, depth, data, recipe, seeds. So all four have the same number of
parameters. The strided convolution skips three quarters of the positions and computes less; as a control it runs once
more, widened until it costs about as many multiply-adds as convolution and max pooling. The recipe was chosen with
convolution and max pooling, for a run of minutes; no method has a recipe of its own, and none is trained to the end.

Beside the accuracy, each trained network is asked the same question twice: does its answer stay when the camera moves?
The pictures for that are drawn larger than the network's input, with the parcel in the middle, and cropped at other
places, so a shift invents no border and the parcel stays in view.
"""

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import mean, stdev
from typing import Any, Final

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from coursekit.data import ImageDataset, parcels
from coursekit.pooling import AvgPool2d, BlurPool2d, MaxPool2d
from coursekit.record.provenance import Findings
from coursekit.training import Recipe, evaluate, fit, predict

__all__ = ["METHODS", "Settings", "build_network", "count_macs", "measure", "shift_consistency"]

#: Ways to halve a feature map, and what they are called in tables.
METHODS: Final[dict[str, str]] = {
    "max": "convolution, then 2x2 maximum",
    "average": "convolution, then 2x2 average",
    "strided": "convolution with stride 2",
    "blur": "convolution, then 3x3 binomial blur with stride 2",
}
_WIDER: Final = "strided_wider"

_TRAIN_SEED, _TEST_SEED, _SHIFT_SEED = 1, 2, 3


@dataclass(frozen=True)
class Settings:
    """What the experiment can be scaled by; the defaults make the record.

    Args:
        train_count: training pictures.
        test_count: test pictures.
        shift_count: pictures for the shift consistency.
        max_shift: largest shift in pixels.
        size: side of the pictures in pixels, a multiple of 8.
        widths: channels of the stages; each stage halves the map.
        wider: channels of the control.
        epochs: passes over the training pictures.
        seeds: number of repetitions with seeds 0, 1, ...
        workers: processes that train, one thread each; it does not change the figures.
    """

    train_count: int = 4000
    test_count: int = 2000
    shift_count: int = 1000
    max_shift: int = 8
    size: int = 32
    widths: tuple[int, ...] = (16, 32, 64)
    wider: tuple[int, ...] = (26, 52, 104)
    epochs: int = 15
    seeds: int = 5
    workers: int = 2

    def recipe(self) -> Recipe:
        return Recipe(epochs=self.epochs, batch_size=64, lr=0.1, weight_decay=5e-4, flip=True, pad_crop=2)


def measure(*, progress: bool = True, **settings: Any) -> Findings:
    """Trains every method with every seed and measures accuracy and shift consistency.

    Args:
        progress: whether to show a progress bar.
        **settings: fields of :class:`Settings` to replace.

    Returns:
        Figures ``shifts`` (list), ``methods`` and ``control``. The latter two give for each method ``label``,
        ``widths``, ``parameters``, ``macs`` (of one picture), ``accuracy_mean`` and ``accuracy_spread`` (sample
        standard deviation) on the test pictures, and with one entry per seed ``accuracy``, ``train_accuracy`` (on the
        augmented pictures of the last epoch) and ``consistency`` (a list over ``shifts``).

    Raises:
        TypeError: there is no such setting.
        ValueError: fewer than two seeds, which have no spread.
    """
    chosen = Settings(**settings)
    if chosen.seeds < 2:
        raise ValueError(f"seeds must be at least 2 to show a spread, got {chosen.seeds}")
    jobs = [(method, seed, chosen) for seed in range(chosen.seeds) for method in (*METHODS, _WIDER)]
    trained: dict[tuple[str, int], dict[str, Any]] = {}
    with tqdm(total=len(jobs), unit=" networks", disable=not progress) as bar:
        for (method, seed, _), outcome in _run_all(jobs, chosen.workers):
            trained[method, seed] = outcome
            bar.update()
            bar.set_postfix(last=f"{method} {outcome['accuracy']:.3f}")
    summaries = {
        method: _summary(method, [trained[method, seed] for seed in range(chosen.seeds)], chosen)
        for method in (*METHODS, _WIDER)
    }
    control = {_WIDER: summaries.pop(_WIDER)}
    figures = {"shifts": list(range(1, chosen.max_shift + 1)), "methods": summaries, "control": control}
    recipe = {f"recipe_{key}": value for key, value in asdict(chosen.recipe()).items()}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(chosen).items()}
    data = (
        f"generated parcels of {chosen.size}x{chosen.size} pixels, "
        f"{chosen.train_count} to train and {chosen.test_count} to test"
    )
    return Findings(data, list(range(chosen.seeds)), plain | recipe, figures)


def build_network(method: str, widths: Iterable[int], classes: int) -> nn.Sequential:
    """Stages of 3x3 convolution, BatchNorm, ReLU and halving; a last convolution, global average, linear scores.

    Args:
        method: a key of :data:`METHODS`.
        widths: channels of each stage.
        classes: number of scores.

    Raises:
        ValueError: the method is unknown.
    """
    halvings = {"max": MaxPool2d(2), "average": AvgPool2d(2), "blur": BlurPool2d(3, 2), "strided": nn.Identity()}
    if method not in halvings:
        raise ValueError(f"method must be one of {', '.join(halvings)}, got {method!r}")
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        stride = 2 if method == "strided" else 1
        layers += [*_convolution(channels, width, stride), halvings[method]]
        channels = width
    layers += [*_convolution(channels, channels, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(channels, classes))


def count_macs(model: nn.Module, size: int) -> int:
    """Multiply-adds of one picture: convolutions, linear layers and the blur's fixed filter; nothing else multiplies.

    Args:
        model: a network of :func:`build_network`.
        size: side of the picture.
    """
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features
        elif isinstance(module, BlurPool2d):
            total += output.numel() * module.kernel_size**2

    hooks = [module.register_forward_hook(count) for module in model.modules()]
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, size, size))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return total


def shift_consistency(model: nn.Module, images: Tensor, size: int, max_shift: int) -> list[float]:
    """Share of answers that stay when the camera moves by 1..``max_shift`` pixels, along x or along y.

    The camera passes the middle of the picture in steps of one pixel, from ``-max_shift / 2`` to ``+max_shift / 2``.
    Each pair of positions that lie s pixels apart gives one comparison per picture for the shift s.

    Args:
        model: gives class scores.
        images: pictures (N, 3, H, W), ``uint8``, with H and W at least ``size + max_shift``.
        size: side of the crops that the model sees.
        max_shift: largest shift in pixels.

    Returns:
        One share in 0..1 for each shift from 1 on.

    Raises:
        ValueError: the pictures are too small.
    """
    height, width = images.shape[-2:]
    if min(height, width) < size + max_shift:
        raise ValueError(f"images must be at least {size + max_shift} pixels high and wide, got {height}x{width}")
    top, left = (height - size) // 2, (width - size) // 2
    first = -(max_shift // 2)
    same: dict[int, list[float]] = {shift: [] for shift in range(1, max_shift + 1)}
    for step_y, step_x in ((0, 1), (1, 0)):
        answers = []
        for step in range(first, first + max_shift + 1):
            y, x = top + step * step_y, left + step * step_x
            answers.append(predict(model, images[:, :, y : y + size, x : x + size]))
        for start in range(len(answers)):
            for stop in range(start + 1, len(answers)):
                same[stop - start].append((answers[start] == answers[stop]).double().mean().item())
    return [round(mean(shares), 6) for shares in same.values()]


def _convolution(channels: int, width: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]


def _network(method: str, settings: Settings, classes: int) -> nn.Sequential:
    if method == _WIDER:
        return build_network("strided", settings.wider, classes)
    return build_network(method, settings.widths, classes)


def _summary(method: str, runs: list[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    model = _network(method, settings, runs[0]["classes"])
    wider = method == _WIDER
    accuracy = [run["accuracy"] for run in runs]
    return {
        "label": METHODS["strided"] + ", wider" if wider else METHODS[method],
        "widths": list(settings.wider if wider else settings.widths),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "macs": count_macs(model, settings.size),
        "accuracy_mean": round(mean(accuracy), 6),
        "accuracy_spread": round(stdev(accuracy), 6),
        **{key: [run[key] for run in runs] for key in ("accuracy", "train_accuracy", "consistency")},
    }


def _run_all(
    jobs: list[tuple[str, int, Settings]], workers: int
) -> Iterator[tuple[tuple[str, int, Settings], dict[str, Any]]]:
    """Runs the jobs, in this process for one worker, and gives each outcome as it comes."""
    if workers == 1:
        for job in jobs:
            yield job, _train_one(*job)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy torch's thread pool in an unknown state
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # inherited: waiting threads must not take a core
    with ProcessPoolExecutor(workers, mp_context=context) as executor:
        waiting = {executor.submit(_train_one, *job): job for job in jobs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            executor.shutdown(cancel_futures=True)  # after a failure, do not train the rest first


def _train_one(method: str, seed: int, settings: Settings) -> dict[str, Any]:
    """Trains and measures one network on one thread."""
    train, test, wide = _pictures(settings)
    with _one_thread(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = _network(method, settings, len(train.classes))
        history = fit(model, train, None, settings.recipe(), seed=seed, progress=False)
        return {
            "classes": len(train.classes),
            "accuracy": evaluate(model, test).accuracy,
            "train_accuracy": history.accuracy[-1],
            "consistency": shift_consistency(model, wide.images, settings.size, settings.max_shift),
        }


@lru_cache(maxsize=1)
def _pictures(settings: Settings) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """Training pictures, test pictures, and larger ones with the parcel in the middle."""
    border = (settings.max_shift + 1) // 2
    return (
        parcels(settings.train_count, settings.size, seed=_TRAIN_SEED),
        parcels(settings.test_count, settings.size, seed=_TEST_SEED),
        parcels(settings.shift_count, settings.size, seed=_SHIFT_SEED, position=0.0, border=border),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """The same number of threads everywhere: sums then run in the same order, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
