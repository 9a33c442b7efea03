"""The command line: ``coursekit doctor``, ``coursekit record``.

Each command is a thin shell around a library function. Imports of torch stay inside the commands, so that
``coursekit doctor`` answers where torch is broken and ``--help`` answers at once.
"""

import sys

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
