"""`coursekit.receptive_field` against other tools: right answers out of N, and seconds a call.

The networks are torchvision's convolutional classifiers (some of them; all with `--full`) and the tricky networks of
`tests/receptive_field`. What is right is found in the run, by perturbing the input of the real network.

The peers need an environment of their own, because some pin old versions of what the project uses:

    uv venv /tmp/peers
    uv pip install --python /tmp/peers -r requirements.txt
    uv pip install --python /tmp/peers --no-deps -r benchmarks/peers.txt
    /tmp/peers/bin/python benchmarks/receptive_field.py

One that is not installed is named, and not compared with. How each is called stands in `_field_tools.py`.
"""

import gc
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from _harness import Figure, compare_times, finish, parse_arguments  # before torch

# isort: split
import numpy as np
import torch
from _apart import Failed, apart, attempt
from _counters import quiet
from _field_tools import TOOLS, Question, Size, Tool
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from coursekit.models import build
from coursekit.receptive_field import ReceptiveField, perturbed_bounds, receptive_field, unclipped_field

sys.path.append(str(Path(__file__).parents[1] / "tests" / "receptive_field"))
from test_torchvision_fields import NAMES, Case
from tricky_networks import LAYER, NETWORKS, Tricky

for path in sorted(Path(sys.path[-1]).glob("tricky_*.py")):
    importlib.import_module(path.stem)  # they enter their networks into NETWORKS

#: Where seconds count: the peers that are right have to follow branches here.
TIMED = ("resnet50", "efficientnet_b7", "resnet152")
FEW = (
    *("alexnet", "vgg16", "squeezenet1_1", "resnet18", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5"),
    *("googlenet", "efficientnet_b0", "regnet_y_400mf", "densenet121"),
)
PATIENCE = 30  # seconds for one question to one peer
ALL_AT_ONCE = 900  # for all questions to a peer that does not work in a fork


@dataclass(frozen=True)
class Truth:
    """What perturbation found.

    Attributes:
        sizes: any of them is a right answer; the first is shown.
        whole: for each axis, whether everything is seen, gates included.
        ours: nothing is wrong with ours: size, stride, start, and the bounds of every position that was measured.
    """

    sizes: tuple[Size, ...]
    whole: tuple[bool, ...]
    ours: bool


@dataclass(frozen=True)
class Asked:
    """An answer, and the processor time of the call."""

    answer: Size | Failed
    seconds: float


@dataclass(frozen=True)
class Row:
    """One network: the truth, ours, and each peer's answer."""

    question: Question
    truth: Truth | Failed
    ours: Asked
    peers: dict[str, Asked]

    def is_right(self, tool: Tool) -> bool:
        return (
            isinstance(self.truth, Truth)
            and tool.name in self.peers
            and self.peers[tool.name].answer in self.truth.sizes
        )

    def is_true(self, tool: Tool) -> bool:
        """Right, or at least true of what the network sees through its gates."""
        answer = self.peers[tool.name].answer
        if self.is_right(tool) or isinstance(answer, Failed) or isinstance(self.truth, Failed):
            return self.is_right(tool)
        pairs = zip(answer, self.truth.sizes[0], self.truth.whole, strict=True)
        return all(whole if axis is None else axis == size for axis, size, whole in pairs)

    @property
    def ours_is_right(self) -> bool:
        return isinstance(self.truth, Truth) and self.truth.ours

    def fastest_right(self, tools: Sequence[Tool]) -> Tool | None:
        """The peer that gives the right size in the least time; None where no peer is right."""
        right = [tool for tool in tools if self.is_right(tool)]
        return min(right, key=lambda tool: self.peers[tool.name].seconds, default=None)


def classifier(name: str) -> Question:
    """A classifier of torchvision at 224 pixels."""
    case = Case(name)
    size = (224, 224)
    output_size = receptive_field(case.on_meta(), size, case.layer).output_size
    return Question(name, case.build, case.on_meta, case.layer, size, output_size)


def tricky(network: Tricky) -> Question:
    """A hand-made network; small enough for numbers."""
    found = ask_us(network.build(), network.input_size, network.in_channels)
    output_size = found.output_size if isinstance(found, ReceptiveField) else ()
    return Question(
        network.name, network.build, network.build, LAYER, network.input_size, output_size, network.in_channels
    )


def ask_us(model: Any, input_size: Any, in_channels: int) -> ReceptiveField | Failed:
    return attempt(lambda: receptive_field(model, input_size, LAYER, in_channels=in_channels))


def classifier_truth(question: Question, axes: Sequence[int]) -> Truth:
    """Perturbation of the middle of an image that is long along one axis and thin along the other."""
    case, model = Case(question.name), question.build()
    claimed = receptive_field(model, question.input_size, question.layer)
    sizes, agree = list(claimed.size), True
    for axis in axes:
        size, stride, start = measured(model, case, axis)
        sizes[axis] = size
        agree &= (size, stride, start) == (claimed.size[axis], claimed.stride[axis], claimed.start[axis])
    if len(axes) == 1:  # as along the other axis, which `--full` measures
        sizes = [sizes[axes[0]]] * 2
    return Truth((tuple(sizes),), tuple(claimed.sees_everything), agree)


def measured(model: Any, case: Case, axis: int) -> tuple[int, int, int]:
    """Size, stride and start along one axis. What ours claims decides only which image and which rows come first."""
    shape = [case.thickness] * 2
    claim = receptive_field(model, tuple(shape), case.layer)
    shape[axis] = claim.size[axis] + 4 * claim.stride[axis]
    guess = receptive_field(model, tuple(shape), case.layer).bounds()
    middle = (len(guess[axis]) - 1) // 2
    (table,) = perturbed_bounds(
        model, shape, case.layer, axis=axis, positions=[middle, middle + 1], everything=False, guess=guess
    )
    (first, last), (next_first, next_last) = table.tolist()
    if first == 0 or next_last == shape[axis] - 1:  # cut by the image: the claim was wrong
        (field,) = unclipped_field(model, case.layer, axis=axis, thickness=case.thickness)
        return field.size, field.stride, field.start
    return last - first + 1, next_first - first, first - middle * (next_first - first)


def tricky_truth(network: Tricky) -> Truth:
    """Perturbation of every position, and what stands beside the network."""
    measure = partial(perturbed_bounds, network.build(), network.input_size, LAYER, in_channels=network.in_channels)
    tables = {everything: measure(everything=everything) for everything in (False, True)}
    widest = tuple(int((table[:, 1] - table[:, 0]).max()) + 1 for table in tables[False])
    claimed = ask_us(network.build(), network.input_size, network.in_channels)
    whole = tuple(
        bool((table == (0, length - 1)).all()) for table, length in zip(tables[True], network.input_size, strict=True)
    )
    if isinstance(claimed, Failed):
        return Truth((network.size or widest, widest), whole, False)
    agree = network.size is None or (
        (claimed.size, claimed.stride, claimed.start) == (network.size, network.stride, network.start)
    )
    for axis, table in enumerate(tables[False]):
        agree &= regular_size(table, network.input_size[axis]) in (None, claimed.size[axis])
    for everything, table in tables.items():
        agree &= all(map(np.array_equal, claimed.bounds(everything=everything), table))
    # Where the image cuts every field and nobody worked out the size, a peer may say what ours says.
    sizes = (network.size or widest, widest, *([claimed.size] if agree else []))
    cut = tuple(None if size == length else size for size, length in zip(widest, network.input_size, strict=True))
    return Truth((*sizes, cut), whole, bool(agree))


def regular_size(table: np.ndarray, length: int) -> int | None:
    """Size of the field, where all positions that touch no end of the image are alike; None otherwise."""
    inside = table[(table[:, 0] > 0) & (table[:, 1] < length - 1)]
    sizes, steps = set((inside[:, 1] - inside[:, 0] + 1).tolist()), set(np.diff(inside[:, 0]).tolist())
    return sizes.pop() if len(inside) > 2 and len(sizes) == len(steps) == 1 else None


def timed(call: Callable[[], Any]) -> Asked:
    gc.disable()  # as in `compare_times`
    try:
        start = time.process_time()
        answer = attempt(call)
        return Asked(answer, time.process_time() - start)
    finally:
        gc.enable()


def ask_tool(tool: Tool, module: ModuleType, question: Question) -> Asked:
    """Prepare, then time one call."""
    with quiet():
        call = attempt(lambda: tool.prepare(module, question))
        return Asked(call, 0.0) if isinstance(call, Failed) else timed(call)


def ask_all(tool: Tool, module: ModuleType, questions: Sequence[Question], *, large: bool) -> list[Asked]:
    """One peer, every question, in a process that ends with the damage that it may do; large networks in one each."""

    def series() -> list[Asked]:
        ask_tool(tool, module, questions[0])  # what is imported on the first call is not the call's own
        if not (large and tool.forks):
            return [ask_tool(tool, module, question) for question in questions]
        found = [apart(partial(ask_tool, tool, module, question), PATIENCE) for question in questions]
        return [Asked(one, 0.0) if isinstance(one, Failed) else one for one in found]

    found = apart(series, ALL_AT_ONCE + PATIENCE * len(questions))
    return [Asked(found, 0.0)] * len(questions) if isinstance(found, Failed) else found


def ask_ourselves(question: Question) -> Asked:
    """Ours, on an ordinary network, in the same way as the peers."""

    def call() -> Size:
        return receptive_field(model, question.input_size, question.layer, in_channels=question.in_channels).size

    model = question.build()
    attempt(call)
    return timed(call)


def rows_of(
    questions: Sequence[Question],
    truths: Sequence[Callable[[], Truth]],
    tools: dict[Tool, ModuleType],
    *,
    large: bool,
) -> list[Row]:
    """Ask everybody everything."""
    what = "classifiers" if large else "tricky networks"
    found = [attempt(truth) for truth in track(truths, f"Perturbing {what}", transient=True)]
    ours = [ask_ourselves(question) for question in questions]
    peers = {
        tool.name: ask_all(tool, module, questions, large=large)
        for tool, module in track(tools.items(), f"Asking peers about {what}", transient=True)
    }
    return [
        Row(question, found[i], ours[i], {name: asked[i] for name, asked in peers.items()})
        for i, question in enumerate(questions)
    ]


def size_text(size: Size | Failed) -> str:
    """427 for (427, 427); `whole` for an axis that is said to be seen whole."""
    if isinstance(size, Failed):
        return "no answer"
    texts = ["whole" if axis is None else f"{axis:.3g}" if axis > 99_999 else str(axis) for axis in size]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def table_of(title: str, rows: Sequence[Row], tools: Sequence[Tool], *, seconds: bool) -> Table:
    """A line for each network; a wrong answer is in brackets, and a true one on the gates is not counted as right."""
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("network", no_wrap=True)
    for heading in ("truth", "coursekit", *(tool.name for tool in tools)):
        table.add_column(heading, justify="right")
    for row in rows:
        cells = [cell(row.ours, row.ours_is_right, seconds=seconds)]
        for tool in tools:
            asked = row.peers.get(tool.name)
            cells.append("-" if asked is None else cell(asked, row.is_true(tool), seconds=seconds))
        shown = row.truth.reason[:20] if isinstance(row.truth, Failed) else size_text(row.truth.sizes[0])
        table.add_row(row.question.name, shown, *cells)
    table.add_section()
    scores = [sum(row.is_right(tool) for row in rows) if tool.name in rows[0].peers else "-" for tool in tools]
    table.add_row(f"right of {len(rows)}", "", str(sum(row.ours_is_right for row in rows)), *map(str, scores))
    return table


def cell(asked: Asked, right: bool, *, seconds: bool) -> str:
    text = size_text(asked.answer) if right or isinstance(asked.answer, Failed) else f"({size_text(asked.answer)})"
    return f"{text} {asked.seconds * 1e3:6.0f} ms" if seconds and not isinstance(asked.answer, Failed) else text


def ratio(row: Row, tool: Tool, module: ModuleType, rounds: int) -> float | Failed:
    """Seconds of ours over those of the peer, in interleaved rounds."""

    def compare() -> float:
        model = row.question.build()
        with quiet():
            call = tool.prepare(module, row.question)
            return compare_times(
                lambda: receptive_field(model, row.question.input_size, row.question.layer), call, rounds
            ).ratio

    return apart(compare, ALL_AT_ONCE)


def near_us(rows: Sequence[Row], tools: Sequence[Tool]) -> str:
    """Where a right peer takes less than ten times our seconds; empty if nowhere."""
    found = []
    for row in rows:
        tool = row.fastest_right(tools)
        if tool is not None and row.peers[tool.name].seconds < 10 * row.ours.seconds:
            seconds = f"{row.peers[tool.name].seconds * 1e3:.0f} ms against {row.ours.seconds * 1e3:.0f}"
            found.append(f"{row.question.name} ({tool.name} {seconds})")
    return ", ".join(found)


def as_figures(
    rows: Sequence[Row], hand_made: Sequence[Row], tools: dict[Tool, ModuleType], rounds: int
) -> list[Figure]:
    """Right answers, seconds for ResNet-152, and the ratio to the fastest right peer where seconds count."""
    figures = []
    for name, some in (("classifiers", rows), ("tricky_networks", hand_made)):
        share = sum(row.ours_is_right for row in some) / len(some)
        figures.append(Figure(f"receptive_field_right_{name}_share", share, f"of {len(some)}", 1.0, at_most=False))
    resnet = build("resnet152")
    receptive_field(resnet)
    seconds = min(timed(lambda: receptive_field(resnet)).seconds for _ in range(rounds))
    figures.append(Figure("receptive_field_resnet152", seconds, "s", 0.5))
    for row in rows:
        if row.question.name in TIMED:
            tool = row.fastest_right(list(tools))
            if tool is None:
                print(f"No peer is right on {row.question.name}: no RESULT line for the time.")
                continue
            slow = row.peers[tool.name].seconds > 2 and rounds < 5
            value = ratio(row, tool, tools[tool], 1 if slow else rounds)
            value = float("nan") if isinstance(value, Failed) else value
            print(f"The fastest peer that is right on {row.question.name}: {tool.name}.")
            figures.append(Figure(f"receptive_field_time_over_right_peer_{row.question.name}", value, "x", 0.1))
    return figures


def main() -> int:
    """Measure, print, and tell whether every target was met."""
    full = parse_arguments(__doc__.splitlines()[0]).full
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message="Using padding='same'")  # one of the tricky networks
    modules = {tool: tool.load() for tool in TOOLS}
    tools = {tool: module for tool, module in modules.items() if module is not None}
    patient = {tool: module for tool, module in tools.items() if full or tool.quick}
    names = sorted(set(NAMES)) if full else (*FEW, *TIMED)
    questions = [classifier(name) for name in names]
    axes = (0, 1) if full else (1,)
    rows = rows_of(questions, [partial(classifier_truth, q, axes) for q in questions], patient, large=True)
    hand_made = rows_of(
        [tricky(network) for network in NETWORKS],
        [partial(tricky_truth, network) for network in NETWORKS],
        tools,
        large=False,
    )
    console = Console(width=max(160, Console().width))
    for tool, module in modules.items():
        console.print(f"{tool.name}: {tool.how if module else 'not installed'}", highlight=False, markup=False)
    title = "pixels in the field of the last map; (wrong); whole: all is seen, through gates"
    console.print(table_of(f"torchvision's classifiers: {title}", rows, list(tools), seconds=True))
    if near := near_us(rows, list(tools)):
        console.print(
            "Right peers within ten times our time (adding up the modules in the order of their calls is right as long "
            f"as no branch has a stride): {near}",
            highlight=False,
        )
    figures = as_figures(rows, hand_made, tools, 7 if full else 3)
    return finish(table_of(f"Tricky networks: {title}", hand_made, list(tools), seconds=False), figures)


if __name__ == "__main__":
    raise SystemExit(main())
