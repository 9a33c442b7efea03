"""Does this computer have what the course needs? ``coursekit doctor`` asks, and says what to do.

A check looks at one thing and returns a :class:`Finding`. Nothing here imports torch at the top: the doctor has to
run on the very machines where torch does not.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType

from packaging.version import Version

from coursekit.paths import data_dir

__all__ = ["CHECKS", "Finding", "Verdict", "examine"]

GIB = 1024**3
#: Free space that CIFAR-10, its decoded copy and the recorded runs take together, with room to spare.
DATA_SPACE = 2 * GIB
MINIMUM_PYTHON = (3, 11)


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"  # the course works, something is missing that some of it would use
    PROBLEM = "problem"  # a part of the course does not work until this is mended


@dataclass(frozen=True)
class Finding:
    """What one check saw.

    Attributes:
        subject: what was looked at, in a word or two.
        verdict: ok, note or problem.
        seen: what was found, with versions and sizes.
        advice: what to do about it, as an instruction; empty when the verdict is ok.
    """

    subject: str
    verdict: Verdict
    seen: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.verdict is not Verdict.OK and not self.advice:
            raise ValueError(f"a finding of verdict {self.verdict} needs advice, got none for {self.subject!r}")


def examine() -> list[Finding]:
    """Run every check, in the order of :data:`CHECKS`."""
    return [finding for check in CHECKS for finding in check()]


def check_python() -> list[Finding]:
    """Python 3.11 or newer, with its own environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MINIMUM_PYTHON:
        advice = "Install Python 3.11 or newer, delete the folder .venv and run `make install` again."
        return [Finding("Python", Verdict.PROBLEM, version, advice)]
    return [Finding("Python", Verdict.OK, f"{version} in {sys.prefix}")]


def check_torch() -> list[Finding]:
    """torch and torchvision import, and were built for each other."""
    reinstall = "Run `make install`, or `pip install -r requirements.txt` in a fresh environment."
    try:
        import torch
    except (ImportError, OSError) as error:
        return [Finding("torch", Verdict.PROBLEM, f"does not import: {error}", reinstall)]
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:  # RuntimeError: operators built for another torch
        seen = f"torch {torch.__version__}, torchvision does not import: {error}"
        return [Finding("torch", Verdict.PROBLEM, seen, f"The two do not belong together. {reinstall}")]
    return [Finding("torch", Verdict.OK, f"torch {torch.__version__}, torchvision {torchvision.__version__}")]


def check_cuda() -> list[Finding]:
    """A GPU that torch can use; the course works without one."""
    torch = _torch_if_it_imports()
    if torch is None:
        return []
    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        seen = ", ".join(f"{device.name} ({device.total_memory / GIB:.0f} GiB)" for device in devices)
        return [Finding("CUDA", Verdict.OK, seen)]
    if shutil.which("nvidia-smi") is None:
        advice = "Nothing to do: every chapter and assignment runs on the CPU. A GPU makes training faster."
        return [Finding("CUDA", Verdict.NOTE, "no NVIDIA GPU", advice)]
    built_for = torch.version.cuda or "no CUDA at all"
    advice = "Update the NVIDIA driver, or install a torch built for the CUDA version that `nvidia-smi` shows."
    return [Finding("CUDA", Verdict.NOTE, f"a driver is there, torch (built for {built_for}) cannot use it", advice)]


def check_threads() -> list[Finding]:
    """As many threads as cores, and threads that sleep while they wait."""
    torch = _torch_if_it_imports()
    if torch is None:
        return []
    cores = _usable_cores()
    threads = torch.get_num_threads()
    policy = os.environ.get("OMP_WAIT_POLICY", "").upper()
    seen = f"{threads} threads on {cores} cores, OMP_WAIT_POLICY {policy or 'not set'}"
    advice = []
    if threads > cores:
        advice.append(f"Set OMP_NUM_THREADS={cores}: more threads than cores only get in each other's way.")
    if policy != "PASSIVE":
        advice.append(
            "Set OMP_WAIT_POLICY=PASSIVE before Python starts: with a busy neighbour, threads that spin while they "
            "wait cost up to nine tenths of the speed."
        )
    return [Finding("Threads", Verdict.NOTE if advice else Verdict.OK, seen, " ".join(advice))]


def check_disk() -> list[Finding]:
    """Room for the data sets."""
    try:
        folder = _nearest_existing(data_dir())
    except NotADirectoryError:
        return []  # check_data reports it
    free = shutil.disk_usage(folder).free
    seen = f"{free / GIB:.1f} GiB free for data at {folder}"
    if free < DATA_SPACE:
        advice = f"Free {DATA_SPACE / GIB:.0f} GiB there, or let COURSEKIT_DATA name a folder on a larger disk."
        return [Finding("Disk", Verdict.NOTE, seen, advice)]
    return [Finding("Disk", Verdict.OK, seen)]


def check_bubblewrap() -> list[Finding]:
    """bubblewrap is installed and allowed to make a sandbox; grading other people's code needs it."""
    program = shutil.which("bwrap")
    if program is None:
        advice = (
            "Only grading needs it. Debian and Ubuntu: `sudo apt install bubblewrap`; Fedora: `sudo dnf install "
            "bubblewrap`. It exists for Linux alone: elsewhere, grade inside a Linux container or virtual machine."
        )
        return [Finding("bubblewrap", Verdict.NOTE, "not installed", advice)]
    command = [program, "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "true"]
    try:
        trial = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        complaint = "no answer after 20 s"
    else:
        complaint = trial.stderr.strip() if trial.returncode else ""
    if complaint:
        advice = (
            "The kernel refuses user namespaces. On Ubuntu 24.04 or newer allow bwrap an AppArmor profile with "
            "`userns`; in a container, start it with user namespaces allowed. Only grading needs this."
        )
        return [Finding("bubblewrap", Verdict.NOTE, f"installed, cannot make a sandbox: {complaint}", advice)]
    return [Finding("bubblewrap", Verdict.OK, f"{program} makes sandboxes")]


def check_data() -> list[Finding]:
    """The data folder, and whether CIFAR-10 is in it."""
    try:
        folder = data_dir()
    except NotADirectoryError as error:
        return [Finding("Data", Verdict.PROBLEM, str(error), "Let COURSEKIT_DATA name a folder, or unset it.")]
    found = [name for name in ("cifar-10-batches-py", "cifar10.zip", "cifar10") if (folder / name).exists()]
    if found:
        return [Finding("Data", Verdict.OK, f"CIFAR-10 as {found[0]} in {folder}")]
    advice = (
        "Nothing to do: the generated parcels serve wherever CIFAR-10 is missing. To use it, put an image-folder "
        "zip cifar10.zip (or torchvision's cifar-10-batches-py) there, or let COURSEKIT_DATA name the folder."
    )
    return [Finding("Data", Verdict.NOTE, f"no CIFAR-10 in {folder}", advice)]


def check_book_tools() -> list[Finding]:
    """jupyter-book 1.x and nbgrader."""
    findings = []
    for package, minimum, below in (("jupyter-book", "1.0.4", "2"), ("nbgrader", "0.9.5", "0.10")):
        wanted = f"at least {minimum} and below {below}"
        advice = f"Run `make install`, or `pip install -r requirements.txt`: the course needs {package} {wanted}."
        try:
            found = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(package, Verdict.PROBLEM, "not installed", advice))
            continue
        fits = Version(minimum) <= Version(found) < Version(below)
        findings.append(
            Finding(package, Verdict.OK, found) if fits else Finding(package, Verdict.PROBLEM, found, advice)
        )
    return findings


#: The checks, in the order in which their findings make sense.
CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    check_python,
    check_torch,
    check_cuda,
    check_threads,
    check_disk,
    check_bubblewrap,
    check_data,
    check_book_tools,
)


def _torch_if_it_imports() -> ModuleType | None:
    try:
        import torch
    except (ImportError, OSError):
        return None  # check_torch reports it
    return torch


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use, not what the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _nearest_existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
