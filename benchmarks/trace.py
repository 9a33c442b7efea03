"""`coursekit.trace` against other counters of parameters and MACs: seconds, agreement, right answers where it is hard.

The peers need an environment of their own, because some pin old versions of what the project uses:

    uv venv /tmp/peers
    uv pip install --python /tmp/peers -r requirements.txt
    uv pip install --python /tmp/peers --no-deps -r benchmarks/peers.txt
    /tmp/peers/bin/python benchmarks/trace.py

One that is not installed is named, and its RESULT lines are left out. How each is called stands in `_counters.py`.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from _harness import Comparison, Figure, compare_times, finish, parse_arguments, worst  # before torch

# isort: split
import torch
from _apart import Failed, apart, attempt
from _counters import PEERS, Answer, Counter, quiet
from _counting_cases import CASES, Case
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from torchvision.models import get_model, get_model_weights

from coursekit.trace import trace

NETWORKS = ("resnet50", "efficientnet_b7", "resnet152")
TASTE = 0.05  # share of the MACs by which a peer may differ and be right: biases, a softmax, products of gates


@dataclass(frozen=True)
class Published:
    """What torchvision says of a network at the crop on which its weights are evaluated."""

    name: str
    size: int
    params: int
    giga_macs: float  # rounded to three decimals

    def agrees(self, answer: Answer) -> bool:
        return answer.params == self.params and round(answer.macs / 1e9, 3) == self.giga_macs


@dataclass(frozen=True)
class Row:
    """A peer on the networks, and on the tricky cases: `Failed` where it gives no answer."""

    peer: Counter
    networks: tuple[tuple[Comparison, Answer] | Failed, ...]
    cases: tuple[Answer | Failed, ...]


def published(name: str) -> Published:
    """The facts of the network's default weights."""
    weights = get_model_weights(name).DEFAULT
    return Published(name, weights.transforms().crop_size[0], weights.meta["num_params"], weights.meta["_ops"])


def ask_peer(peer: Counter, module: ModuleType, case: Case) -> Answer:
    """What the peer says of a network made for it."""
    with torch.device(peer.device):
        model, x = case.build().eval(), torch.zeros(case.shape)
    with quiet():
        return peer.count(module, model, x)


def ask_us(model: nn.Module, input_size: int | tuple[int, ...], in_channels: int = 3) -> Answer:
    """Ours in the same terms."""
    found = trace(model, input_size, in_channels)
    return Answer(found.params, found.macs, complete=not found.partial)


def compare(
    peer: Counter, module: ModuleType, network: Published, models: dict[str, nn.Module], rounds: int
) -> tuple[Comparison, Answer]:
    """Times on one network, and the answer; ours gets an ordinary network, the peer one where it likes best."""
    answers = []
    x = torch.zeros(1, 3, network.size, network.size, device=peer.device)
    if peer.device == "cpu" and rounds < 10:  # it computes, which takes seconds
        rounds = 1 if network.giga_macs > 20 else 3
    with quiet():
        times = compare_times(
            lambda: trace(models["cpu"], network.size),
            lambda: answers.append(peer.count(module, models[peer.device], x)),
            rounds,
        )
    return times, answers[0]


def ask_cases(peer: Counter, module: ModuleType) -> list[Answer | Failed]:
    """The peer on every case; in a process of its own each, for a peer may be spoilt by its own failure."""
    attempt(lambda: ask_peer(peer, module, CASES[0]))  # what is imported on the first call is imported once
    run = apart if peer.forks else attempt
    return [run(partial(ask_peer, peer, module, case)) for case in CASES]


def measure(peer: Counter, module: ModuleType, networks: dict[Published, dict[str, nn.Module]], rounds: int) -> Row:
    """Everything about one peer."""
    cases = apart(lambda: ask_cases(peer, module))
    return Row(
        peer,
        networks=tuple(
            apart(partial(compare, peer, module, network, models, rounds), 900) for network, models in networks.items()
        ),
        cases=(cases,) * len(CASES) if isinstance(cases, Failed) else tuple(cases),
    )


def networks_on_each_device() -> dict[Published, dict[str, nn.Module]]:
    """Built once; every peer gets copies, for it runs in a process of its own."""
    found = {}
    for name in NETWORKS:
        facts, devices = published(name), {}
        for device in ("cpu", "meta"):
            with torch.device(device):
                devices[device] = get_model(name).eval()
        found[facts] = devices
    return found


def is_right(case: Case, answer: Answer | Failed, tolerance: float = TASTE) -> bool:
    """Whether parameters and MACs are right, and said to be all."""
    return (
        isinstance(answer, Answer)
        and answer.complete
        and answer.params == case.params
        and abs(answer.macs - case.macs) <= tolerance * case.macs
    )


def verdict(case: Case, answer: Answer | Failed, tolerance: float = TASTE) -> str:
    """The cell of the table."""
    if isinstance(answer, Failed):
        return "error"
    if is_right(case, answer, tolerance):
        return "right"
    if abs(answer.macs - case.macs) > tolerance * case.macs:
        star = "" if answer.params == case.params else " *"
        return f"{answer.macs / case.macs:.2f}x{star}" + ("" if answer.complete else ", said")
    return "params" if answer.params != case.params else "right?"


def times_table(rows: Sequence[Row], networks: Collection[Published], missing: Sequence[Counter]) -> Table:
    """Milliseconds of ours and the peer, and how far the peer's MACs are from what is published."""
    table = Table(title="ms of processor time on one core, ours / peer = ratio; and MACs against torchvision's")
    table.add_column("peer")
    for network in networks:
        table.add_column(f"{network.name}, {network.size} px", justify="right")
        table.add_column("MACs", justify="right")
    for row in rows:
        cells = []
        for network, found in zip(networks, row.networks, strict=True):
            if isinstance(found, Failed):
                cells += [found.reason[:24], "error"]
            else:
                times, answer = found
                cells.append(f"{times.ours * 1e3:.0f} / {times.peer * 1e3:.0f} = {times.ratio:.2f}")
                cells.append(against_published(network, answer))
        table.add_row(f"{row.peer.name} {row.peer.version}", *cells)
    for peer in missing:
        table.add_row(peer.name, *["not installed", ""] * len(networks))
    return table


def against_published(network: Published, answer: Answer) -> str:
    """Equal to the rounding of what is published, or by how much more."""
    if network.agrees(answer):
        return "equal"
    share = f"{answer.macs / 1e9 / network.giga_macs - 1:+.2%}"
    return share if answer.params == network.params else f"{share}, params {answer.params:,}"


def cases_table(rows: Sequence[Row], ours: Sequence[Answer | Failed]) -> Table:
    """Who is right on the tricky networks."""
    table = Table(
        title="Parameters and MACs of tricky networks: right, or the MACs over the right ones; "
        "*, params: the parameters are wrong; said: it says that something is not counted",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("network", no_wrap=True)
    table.add_column("coursekit")
    for row in rows:
        table.add_column(row.peer.name)
    for i, case in enumerate(CASES):
        table.add_row(case.name, verdict(case, ours[i], 0), *(verdict(case, row.cases[i]) for row in rows))
    table.add_section()
    scores = [right_answers(ours, 0), *(right_answers(row.cases) for row in rows)]
    table.add_row(f"right of {len(CASES)}", *map(str, scores))
    return table


def right_answers(answers: Sequence[Answer | Failed], tolerance: float = TASTE) -> int:
    return sum(is_right(case, answer, tolerance) for case, answer in zip(CASES, answers, strict=True))


def as_figures(
    rows: Sequence[Row], networks: dict[Published, dict[str, nn.Module]], ours: Sequence[Answer | Failed]
) -> list[Figure]:
    """The worst ratio of the networks for each peer; our share of right answers; our agreement with torchvision."""
    figures = []
    for row in rows:
        ratios = [math.nan if isinstance(found, Failed) else found[0].ratio for found in row.networks]
        name = row.peer.name.replace(" (", "_").rstrip(")")
        figures.append(Figure(f"trace_time_over_{name}", worst(ratios), "x", 1.0))
    answers = [attempt(partial(ask_us, models["cpu"], network.size)) for network, models in networks.items()]
    agree = [isinstance(a, Answer) and a.complete and n.agrees(a) for n, a in zip(networks, answers, strict=True)]
    return [
        *figures,
        Figure("trace_equals_torchvision_share", sum(agree) / len(agree), f"of {len(agree)}", 1.0, at_most=False),
        Figure("trace_right_share", right_answers(ours, 0) / len(CASES), f"of {len(CASES)}", 1.0, at_most=False),
    ]


def main() -> int:
    """Measure, print, and tell whether every target was met."""
    full = parse_arguments(__doc__.splitlines()[0]).full
    torch.set_num_threads(1)
    torch.manual_seed(0)
    networks = networks_on_each_device()
    modules = {peer.name: peer.load() for peer in PEERS}
    present = [peer for peer in PEERS if modules[peer.name] is not None]
    missing = [peer for peer in PEERS if modules[peer.name] is None]
    ours = [attempt(partial(ask_us, case.build(), case.shape[2:], case.shape[1])) for case in CASES]
    rounds = 15 if full else 5
    rows = [measure(peer, modules[peer.name], networks, rounds) for peer in track(present, "Measuring", transient=True)]
    console = Console(width=max(160, Console().width))
    for peer in present:
        console.print(f"{peer.name}: {peer.how}", highlight=False, markup=False)
    console.print(times_table(rows, networks, missing))
    if missing:
        console.print(f"No RESULT line for {', '.join(peer.name for peer in missing)}: not installed.")
    return finish(cases_table(rows, ours), as_figures(rows, networks, ours))


if __name__ == "__main__":
    raise SystemExit(main())
