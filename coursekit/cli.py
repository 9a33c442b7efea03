"""The command line: ``coursekit doctor``, ``record``, ``rf`` and ``trace``.

Each command is a thin shell around a library function. Imports of torch stay inside the commands, so that
``coursekit doctor`` answers where torch is broken and ``--help`` answers at once.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

import coursekit

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(coursekit.__version__, prog_name="coursekit")
def main() -> None:
    """Tools of the course Pooling, Stride & CNN Design."""


@main.command()
def doctor() -> None:
    """Check this computer and say what to do about each problem.

    Exits with 1 when a part of the course cannot work here, with 0 otherwise.
    """
    from coursekit.doctor import Verdict, examine

    findings = examine()
    colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.PROBLEM: "red"}
    table = Table("Check", "Verdict", "What was seen, and what to do", show_lines=True)
    for finding in findings:
        colour = colours[finding.verdict]
        text = Text(finding.seen)
        if finding.advice:
            text.append(f"\n{finding.advice}", style="bold")
        table.add_row(finding.subject, Text(finding.verdict, style=colour), text)
    Console().print(table)
    problems = sum(finding.verdict is Verdict.PROBLEM for finding in findings)
    notes = sum(finding.verdict is Verdict.NOTE for finding in findings)
    if problems:
        click.echo(f"{problems} problem(s) to mend first, {notes} note(s).")
        sys.exit(1)
    click.echo(f"Ready: no problems, {notes} note(s).")


@main.command()
@click.argument("name", required=False)
def record(name: str | None) -> None:
    """Make the recorded run results/NAME.json again; without NAME, list what can be recorded."""
    from coursekit import record as experiments

    if name is None:
        click.echo("\n".join(experiments.names()))
        return
    if name not in experiments.names():
        raise click.BadParameter(f"must be one of {', '.join(experiments.names())}, got {name!r}", param_hint="NAME")
    click.echo(f"Written: {experiments.run(name)}")


class Size(click.ParamType):
    """Pixels: 224 for a square picture, 224x320 for one that is not, 16000x for one axis."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | tuple[int, ...]:
        if isinstance(value, int):
            return value
        lengths = value.lower().replace("×", "x").split("x")
        single = lengths[-1] == "" and len(lengths) == 2
        try:
            sizes = tuple(int(length) for length in (lengths[:1] if single else lengths))
        except ValueError:
            self.fail(f"must look like 224, 224x320 or, for one axis, 16000x; got {value!r}", param, ctx)
        return sizes[0] if len(sizes) == 1 and not single else sizes


def _on_a_network(command: Callable[..., None]) -> Callable[..., None]:
    """What ``trace`` and ``rf`` share: the network, its input, and errors in one line."""

    @main.command(name=command.__name__)
    @click.argument("network")
    @click.option("--size", default=224, show_default=True, type=Size(), help="Input pixels: 224, 224x320, 16000x.")
    @click.option("--channels", default=3, show_default=True, help="Input channels.")
    @functools.wraps(command)
    def run(network: str, **options: Any) -> None:
        from coursekit.loading import load_model
        from coursekit.receptive_field import VerificationError

        numbers = bool(options.get("verify"))
        try:
            command(load_model(network, in_channels=options["channels"], numbers=numbers), **options)
        except (TypeError, ValueError, OSError, VerificationError) as error:
            raise click.ClickException(str(error)) from error

    return run


@_on_a_network
@click.option("--batch", default=1, show_default=True, help="Examples in the input.")
@click.option("--depth", type=int, help="Show modules down to this depth; by default as deep as fits.")
@click.option("--training", is_flag=True, help="Measure the memory of a training step as well.")
@click.option("--csv", type=click.Path(dir_okay=False, path_type=Path), help="Also write every row to this file.")
def trace(
    model: Any, size: Any, channels: int, batch: int, depth: int | None, training: bool, csv: Path | None
) -> None:
    """Shapes, parameters, MACs and memory of a network, layer by layer.

    NETWORK is a name such as resnet50, or module:function, such as my_module:Net.
    """
    import coursekit

    report = coursekit.trace(model, size, channels, batch_size=batch, training=training)
    Console().print(report.table(depth))
    if csv is not None:
        report.to_pandas().to_csv(csv, index=False)


@_on_a_network
@click.option("--layer", help="Name of a layer; by default the last feature map.")
@click.option("--all", "every", is_flag=True, help="List every layer whose output is a feature map.")
@click.option("--verify", is_flag=True, help="Also perturb the real network and compare; takes seconds.")
def rf(model: Any, size: Any, channels: int, layer: str | None, every: bool, verify: bool) -> None:
    """Receptive field of a network: size, stride and start of what a feature map sees.

    NETWORK is a name such as resnet50, or module:function, such as my_module:Net.
    """
    from coursekit.receptive_field import receptive_field, receptive_fields

    if every and (layer is not None or verify):
        raise click.UsageError("--all lists every layer and cannot be combined with --layer or --verify")
    if every:
        Console().print(receptive_fields(model, size, in_channels=channels))
        return
    field = receptive_field(model, size, layer, in_channels=channels, verify=verify)
    Console().print(field)
    if verify:
        click.echo("Verified: perturbing the network's input gives the same bounds at every position.")
