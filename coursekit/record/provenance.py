"""What every record says about itself: hardware, versions, date."""

import os
import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

__all__ = ["Findings", "describe_hardware", "package_versions", "today"]


@dataclass(frozen=True)
class Findings:
    """What an experiment returns: data in words, seeds, settings, figures; all of it plain JSON values.

    ``device`` is where it was computed.
    """

    data: str
    seeds: list[int]
    settings: dict[str, Any]
    figures: dict[str, Any]
    device: str = "cpu"


def describe_hardware(device: str = "cpu") -> str:
    """Name of the GPU or of the processor that computed, the latter with the number of its cores."""
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {os.cpu_count()} cores"


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": version("numpy")}


def today() -> str:
    """The day, as YYYY-MM-DD."""
    return date.today().isoformat()


def _processor() -> str:
    information = Path("/proc/cpuinfo")  # Linux; platform.processor() is often empty there
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
