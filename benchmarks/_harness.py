"""What the benchmarks share: fair timing, honest memory, a table and the RESULT lines.

Times come from interleaved rounds: in each round both sides run in turn and are compared within the round, so that a
busy neighbour slows both. The figure is the median of the rounds' ratios. What is counted is the processor time of this
process; with one thread that is the wall time, less the moments in which the operating system ran something else.
Memory is the largest number of bytes that torch holds at once for the tensors a call creates, counted from the
allocator's own events.
"""

import argparse
import contextlib
import gc
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads disturb the measurement

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

__all__ = ["Comparison", "Figure", "compare_times", "finish", "parse_arguments", "peak_bytes", "worst"]

Call = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """Ours against a peer: seconds each (medians), and the median of the ratios of the single rounds."""

    ours: float
    peer: float
    ratio: float


@dataclass(frozen=True)
class Figure:
    """A number with its target: one RESULT line."""

    name: str
    value: float
    unit: str
    target: float
    at_most: bool = True

    @property
    def passed(self) -> bool:
        """Whether the target is met; NaN never meets one."""
        return self.value <= self.target if self.at_most else self.value >= self.target

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        verdict = "PASS" if self.passed else "FAIL"
        return f"RESULT {self.name} {self.value:.3g} {self.unit} target {sign} {self.target:g} {verdict}"


def parse_arguments(description: str) -> argparse.Namespace:
    """The one option every benchmark has: `--full` for larger inputs and more rounds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="larger inputs and more rounds")
    return parser.parse_args()


def compare_times(ours: Call, peer: Call, rounds: int, *, at_least: float = 0.02) -> Comparison:
    """Processor time of both, in `rounds` rounds in turn; who goes first alternates.

    Args:
        ours: run once to warm up, like the next.
        peer: what it is compared with.
        rounds: how often each is measured.
        at_least: seconds that a measurement lasts; shorter calls are repeated within it.
    """
    ours()
    repeats = max(1, math.ceil(at_least / max(_seconds(peer, 1), 1e-6)))
    found: dict[str, list[float]] = {"ours": [], "peer": []}
    gc.collect()
    gc.disable()  # a collection during one of the calls would be charged to it
    try:
        for turn in range(rounds):
            pair = [("ours", ours), ("peer", peer)]
            for name, call in pair if turn % 2 == 0 else pair[::-1]:
                found[name].append(_seconds(call, repeats))
    finally:
        gc.enable()
    ratios = [mine / theirs for mine, theirs in zip(found["ours"], found["peer"], strict=True)]
    return Comparison(
        ours=statistics.median(found["ours"]),
        peer=statistics.median(found["peer"]),
        ratio=statistics.median(ratios),
    )


def _seconds(call: Call, repeats: int) -> float:
    start = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - start) / repeats


def peak_bytes(call: Call) -> int:
    """Most bytes that tensors created by `call` occupy at once (allocations less frees, from `torch.profiler`).

    Counts what goes through torch's CPU allocator: tensors, what autograd saves, scratch memory of most kernels. Inputs
    made before do not count.
    """
    call()  # what is cached on the first call is not the call's own
    gc.collect()
    with _without_stderr(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recording:
        call()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        recording.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        (event["ts"], event["args"]["Bytes"])
        for event in events
        if event.get("name") == "[memory]" and event["args"]["Device Type"] == 0
    )
    if not changes:
        raise RuntimeError("the profiler saw no allocation: this build of torch records no memory events")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what native code writes to stderr: the profiler announces itself there each time."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def worst(values: Sequence[float]) -> float:
    """The largest; NaN if there is one."""
    return float("nan") if any(value != value for value in values) else max(values)


def finish(table: Table, figures: Sequence[Figure]) -> int:
    """Print the table, the machine and a RESULT line for each figure.

    Returns:
        The exit code: 1 if a target was missed.
    """
    console = Console(width=max(160, Console().width))  # a cut-off number is worse than a wrapped line
    console.print(table)
    console.print(
        f"torch {torch.__version__}, {torch.get_num_threads()} of {os.cpu_count()} CPU cores, "
        f"{torch.backends.cpu.get_cpu_capability()}",
        highlight=False,
    )
    for figure in figures:
        print(figure)
    return 0 if all(figure.passed for figure in figures) else 1
