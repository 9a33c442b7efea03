"""Peers of `coursekit.trace`: how each one is asked for parameters and MACs, at its fastest, and what it answers.

A peer gets a network of its own (some leave hooks and buffers behind) on the device on which it is fastest and works:
the meta device if it takes one. What it returns is put into our terms: parameters, and multiply-accumulates (MACs).
Peers are optional: `Counter.load` gives None for one that is not installed.
"""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import torch
from torch import Tensor, nn

__all__ = ["PEERS", "Answer", "Counter", "quiet"]


@dataclass(frozen=True)
class Answer:
    """What a counter says of a network."""

    params: int
    macs: int
    complete: bool = True  # False: it says itself that something is missing


@dataclass(frozen=True)
class Counter:
    """A peer.

    Attributes:
        name: as in the tables.
        package: on PyPI; empty for what comes with torch.
        module: what to import.
        device: where the network lies when it is asked.
        how: the call and the meaning of its answer, in a line.
        count: asks it.
        forks: works in a fork of a process in which it has worked before.
    """

    name: str
    package: str
    module: str
    device: str
    how: str
    count: Callable[[ModuleType, nn.Module, Tensor], Answer]
    forks: bool = True

    def load(self) -> ModuleType | None:
        """The peer's module, or None if it is not installed."""
        if self.package:
            try:
                version(self.package)
            except PackageNotFoundError:
                return None
        with quiet():
            return importlib.import_module(self.module)

    @property
    def version(self) -> str:
        """Installed version; torch's own for what comes with torch."""
        return version(self.package or "torch").partition("+")[0]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No chatter: peers print tables, warn, and log."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def parameters(model: nn.Module) -> int:
    """For a peer that counts none: what its users write."""
    return sum(parameter.numel() for parameter in model.parameters())


def ask_torchinfo(torchinfo: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    found = torchinfo.summary(model, input_data=x, device="meta", verbose=0)
    return Answer(found.total_params, found.total_mult_adds)


def ask_flop_counter(module: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    with torch.no_grad(), module.FlopCounterMode(display=False) as counter:
        model(x)
    return Answer(parameters(model), counter.get_total_flops() // 2)


def ask_fvcore(fvcore: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    with torch.no_grad():
        analysis = fvcore.FlopCountAnalysis(model, x)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        macs = round(analysis.total())
    return Answer(fvcore.parameter_count(model)[""], macs)


def ask_ptflops(backend: str) -> Callable[[ModuleType, nn.Module, Tensor], Answer]:
    def ask(ptflops: ModuleType, model: nn.Module, x: Tensor) -> Answer:
        with torch.no_grad():
            macs, params = ptflops.get_model_complexity_info(
                model,
                tuple(x.shape[1:]),
                as_strings=False,
                print_per_layer_stat=False,
                backend=backend,
                input_constructor=lambda _shape: x,
            )
        if macs is None:  # its way of saying that it failed
            raise RuntimeError("no answer")
        return Answer(params, round(macs))

    return ask


def ask_calflops(calflops: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    with torch.no_grad():
        _flops, macs, params = calflops.calculate_flops(
            model, args=[x], print_results=False, print_detailed=False, output_as_string=False
        )
    return Answer(params, round(macs))


def ask_thop(thop: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    with torch.no_grad():
        macs, params = thop.profile(model, (x,), verbose=False)
    return Answer(round(params), round(macs))


def ask_torchscan(torchscan: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    found = torchscan.crawl_module(model, tuple(x.shape[1:]))
    return Answer(
        found["overall"]["grad_params"] + found["overall"]["nograd_params"],
        round(sum(layer["macs"] for layer in found["layers"])),
    )


def ask_torchprofile(torchprofile: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    with torch.no_grad():
        return Answer(parameters(model), round(torchprofile.profile_macs(model, x)))


def ask_torchlens(torchlens: ModuleType, model: nn.Module, x: Tensor) -> Answer:
    capture = torchlens.options.CaptureOptions(
        layers_to_save="none", inference_only=True, save_code_context=False, save_rng_states=False
    )
    found = torchlens.trace(model, x, capture=capture)
    return Answer(found.num_params, int(found.total_macs_forward), complete=not found.macs_unknown_split_ops)


PEERS = (
    Counter(
        "torchinfo",
        "torchinfo",
        "torchinfo",
        "meta",
        'summary(model, input_data=x, device="meta", verbose=0); total_mult_adds are MACs of modules, biases included',
        ask_torchinfo,
    ),
    Counter(
        "flop_counter",
        "",
        "torch.utils.flop_counter",
        "meta",
        "FlopCounterMode(display=False) around a pass without gradients; FLOPs / 2; parameters summed beside it",
        ask_flop_counter,
    ),
    Counter(
        "fvcore",
        "fvcore",
        "fvcore.nn",
        "cpu",
        'FlopCountAnalysis(model, x).total(), whose "flops" are MACs, normalisation included; fails on the meta device',
        ask_fvcore,
    ),
    Counter(
        "ptflops (aten)",
        "ptflops",
        "ptflops",
        "meta",
        'get_model_complexity_info(backend="aten"); MACs; under inference_mode it would see nothing',
        ask_ptflops("aten"),
    ),
    Counter(
        "ptflops (pytorch)",
        "ptflops",
        "ptflops",
        "meta",
        'get_model_complexity_info(backend="pytorch"); MACs, normalisation and activations included',
        ask_ptflops("pytorch"),
    ),
    Counter(
        "calflops",
        "calflops",
        "calflops",
        "meta",
        "calculate_flops(model, args=[x], print_results=False, output_as_string=False); the MACs of its answer",
        ask_calflops,
    ),
    Counter(
        "thop",
        "thop",
        "thop",
        "meta",
        "profile(model, (x,), verbose=False); MACs of modules, normalisation included",
        ask_thop,
    ),
    Counter(
        "torchscan",
        "torchscan",
        "torchscan",
        "meta",
        "crawl_module(model, shape); the sum of the layers' MACs, normalisation included",
        ask_torchscan,
    ),
    Counter(
        "torchprofile",
        "torchprofile",
        "torchprofile",
        "cpu",
        "profile_macs(model, x); fails on the meta device; parameters summed beside it",
        ask_torchprofile,
    ),
    Counter(
        "torchlens",
        "torchlens",
        "torchlens",
        "cpu",
        "trace(model, x) that keeps no values; total_macs_forward, num_params",
        ask_torchlens,
        forks=False,
    ),
)
