"""The command line: thin, one function a verb; errors become one sentence and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from qnnsym.errors import INTERRUPTED, InputError, QnnsymError

# Below n ~ 200 the threads of BLAS cost more than they bring; whoever has larger matrices sets these variables.
for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

app = typer.Typer(
    help="Derive, generate, solve, verify and report: phase space and neural Hamiltonians.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Names = Annotated[list[str] | None, typer.Argument(help="Paths, files in ./derivations, or shipped derivations.")]
Shipped = Annotated[bool, typer.Option("--shipped", help="All derivations that come with qnnsym.")]
SET = (
    "NAME=VALUE: times or a parameter; phase space: H, hbar, state as well; networks: activation, reading, kinetic, "
    "method, rtol, atol, step."
)
Sets = Annotated[list[str] | None, typer.Option("--set", help=SET)]
Full = Annotated[bool, typer.Option("--full", help="Heavier settings of the checks.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the results.")]


@app.command("list")
def list_() -> None:
    """Derivations here and shipped, with the state of their kernels and checks; executes none of them."""
    from qnnsym.checks.check import read_checks, summary
    from qnnsym.codegen.manifest import check_folder
    from qnnsym.errors import KernelRefused, StorageError
    from qnnsym.workspace import Workspace

    workspace = Workspace.find()
    rows = []
    for entry in workspace.entries():
        try:
            there = entry.generated.is_dir()
            state = f"kernels {check_folder(entry.generated).signature[:8]}" if there else "no kernels"
        except KernelRefused:
            state = "kernels REFUSED"
        try:
            path = workspace.results / entry.name / "checks.json"
            checks = summary(read_checks(path)) if path.is_file() else "not run"
        except (StorageError, RecursionError):
            checks = "checks unreadable"
        rows.append((entry.name, entry.origin, state, checks, entry.title))
    _table(("name", "where", "kernels", "checks", "title"), rows)


@app.command()
def derive(
    name: str,
    order: Annotated[int | None, typer.Option(help="Highest power of hbar in the table of terms.")] = None,
    form: Annotated[str, typer.Option("--format", help="text, latex, markdown or json.")] = "text",
    settings: Sets = None,
) -> None:
    """Derive the equations of a model and print each step with its proof."""
    from qnnsym import pipeline
    from qnnsym.documents.derivations import derivation_text

    model = pipeline.load(name, _settings(settings))
    if order is not None and order < 0:
        raise InputError(f"--order {order} is negative; give 0, 2, 4, ... .")
    typer.echo(derivation_text(pipeline.derive(model, order), form))


@app.command()
def generate(
    names: Names = None,
    check: Annotated[bool, typer.Option("--check", help="Compare with what is committed and write nothing.")] = False,
) -> None:
    """Write the kernels of derivations to ./generated."""
    from qnnsym import pipeline

    said = pipeline.generate(names or (), check)
    for sentence in said:
        typer.echo(sentence)
    if check and said:
        typer.echo("generated/ is not what the derivations give; `qnnsym generate` renews it.", err=True)
        raise typer.Exit(1)
    if check:
        typer.echo("generated/ is what the derivations give.")


@app.command()
def run(
    names: Names = None,
    settings: Sets = None,
    out: Out = None,
    shipped: Shipped = False,
    tour: Annotated[bool, typer.Option("--tour", help="One derivation of each pillar.")] = False,
    full: Full = False,
) -> None:
    """Derive, generate if needed, solve, verify, and write results, figures and a page."""
    from qnnsym import pipeline
    from qnnsym.checks.check import failed, summary
    from qnnsym.documents.pages import write_index

    given, chosen = _settings(settings), _chosen(names, shipped, tour)
    _check_folder(out)

    def one(entry: Any) -> Any:
        folder = out / entry.name if out is not None and len(chosen) > 1 else out
        outcome = pipeline.run(entry, given, folder, full=full)
        _notes(outcome.notes + outcome.solution.warnings)
        _check_table(failed(outcome.checks))
        typer.echo(f"{outcome.name}: {summary(outcome.checks)}; {outcome.page}")
        return outcome

    outcomes, status = _each(chosen, one)
    if len(outcomes) > 1:
        typer.echo(f"All pages: {write_index(outcomes)}")
    if status:
        raise typer.Exit(status)


@app.command()
def verify(
    names: Names = None,
    settings: Sets = None,
    shipped: Shipped = False,
    full: Full = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of a table.")] = False,
) -> None:
    """Check models: one row per check with what is expected, what was found, and the verdict."""
    import json

    from qnnsym import pipeline
    from qnnsym.checks.check import summary

    def one(entry: Any) -> Any:
        outcome = pipeline.verify(entry, given, full=full)
        _notes(outcome.notes + outcome.solution.warnings)
        if not as_json:
            typer.echo(f"{outcome.name}: {summary(outcome.checks)}")
            _check_table(outcome.checks)
        return outcome

    given = _settings(settings)
    outcomes, status = _each(_chosen(names, shipped), one)
    if as_json:
        typer.echo(json.dumps([c.to_json() for outcome in outcomes for c in outcome.checks], indent=2))
    if status:
        raise typer.Exit(status)


@app.command()
def report(
    names: Names = None,
    form: Annotated[str, typer.Option("--format", help="html, md or tex.")] = "html",
    settings: Sets = None,
    out: Out = None,
) -> None:
    """Write the page of a model again from its last results."""
    from qnnsym import pipeline

    given, chosen = _settings(settings), _chosen(names)
    _check_folder(out)
    for entry in chosen:
        folder = out / entry.name if out is not None and len(chosen) > 1 else out
        typer.echo(str(pipeline.report(entry, form, given, folder)))


@app.command()
def new(
    name: str,
    kind: Annotated[str, typer.Option("--kind", help="phase-space or neural.")] = "phase-space",
) -> None:
    """Write a working derivation file to edit."""
    from qnnsym.templates import write_new

    path = write_new(name, kind)
    typer.echo(f"{path}\nRun it: qnnsym run {name}")


@app.command()
def doctor() -> None:
    """Versions, cache and a self-test."""
    from qnnsym.doctor import examine

    lines, healthy = examine()
    for line in lines:
        typer.echo(line)
    if not healthy:
        raise typer.Exit(3)


def main() -> None:
    """Entry point: one sentence and an exit status for everything a user can cause."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    command = typer.main.get_command(app)
    try:
        status = command.main([a for a in arguments if a != "--debug"], prog_name="qnnsym", standalone_mode=False)
        if status == INTERRUPTED:  # typer turns Ctrl-C into a status and says nothing
            raise KeyboardInterrupt
        raise SystemExit(status if isinstance(status, int) else 0)
    except QnnsymError as error:
        if debug:
            raise
        typer.echo(f"qnnsym: {error}", err=True)
        raise SystemExit(error.exit_status) from None
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("qnnsym: interrupted; what was finished is kept.", err=True)
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # whatever was not foreseen is one sentence as well; --debug shows the rest
        # Typer's own complaints about the command line carry a status and know how to show themselves.
        if hasattr(error, "exit_code") and hasattr(error, "show"):
            error.show()  # type: ignore[attr-defined]  # click's exceptions, which typer carries inside
            raise SystemExit(2) from None
        if debug:
            raise
        typer.echo(f"qnnsym: {_unforeseen(error)}", err=True)
        raise SystemExit(3) from None


def _unforeseen(error: Exception) -> str:
    """A sentence for what no stage foresaw: it is the program's mistake unless the memory is used up."""
    if isinstance(error, MemoryError):
        return "The memory is used up; give fewer times, a coarser grid or a simpler Hamiltonian."
    if isinstance(error, OSError):
        place = f" {os.fsdecode(error.filename)}" if error.filename else ""
        return f"The system refused access{place} ({error.strerror or error}); free space, or check the permissions."
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return (
        f"This was not foreseen ({what if len(what) <= 200 else what[:200] + ' ...'}); change the input, or run again "
        "with --debug and report the traceback as an error of qnnsym."
    )


def _check_folder(out: Path | None) -> None:
    """Refuse a folder that cannot be one before anything is computed for it."""
    if out is None:
        return
    try:
        standing = next(place for place in (out, *out.parents) if place.exists() or place == place.parent)
        usable = standing.is_dir() or standing == standing.parent
        reason = f"{standing} is a file"
    except (OSError, ValueError) as error:
        usable, reason = False, getattr(error, "strerror", None) or str(error)
    if not usable:
        raise InputError(f"--out {str(out)[:200]!r} cannot be a folder ({reason}); name another one.")


def _settings(items: list[str] | None) -> dict[str, str]:
    from qnnsym.expressions import parse_assignments

    return parse_assignments(items or [])


def _each(entries: list[Any], one: Callable[[Any], Any]) -> tuple[list[Any], int]:
    """Do one thing for several derivations: (outcomes, gravest exit status); a broken one does not stop the others."""
    outcomes, status = [], 0
    for entry in entries:
        try:
            outcome = one(entry)
        except Exception as error:  # a broken derivation must not stop the others; it is said below
            if len(entries) == 1 or "--debug" in sys.argv:
                raise
            foreseen = isinstance(error, QnnsymError)
            typer.echo(f"qnnsym: {entry.name}: {error if foreseen else _unforeseen(error)}", err=True)
            status = max(status, error.exit_status if foreseen else 3)
            continue
        outcomes.append(outcome)
        status = max(status, outcome.exit_status)
        if status == INTERRUPTED:
            break
    return outcomes, status


def _chosen(names: list[str] | None, shipped: bool = False, tour: bool = False) -> list[Any]:
    from qnnsym.workspace import TOUR, Workspace

    workspace = Workspace.find()
    given = [*(names or []), *(["--shipped"] * shipped), *(["--tour"] * tour)]
    if len(given) > 1 and (shipped or tour):
        raise InputError(f"{' and '.join(given)} were given together; give names, or one of the options.")
    if names or tour:
        return [workspace.resolve(name, "shipped" if tour else None) for name in names or TOUR]
    entries = workspace.entries("shipped" if shipped else "here")
    if not entries:
        raise InputError("There are no derivations in ./derivations; name a shipped one, or start with `qnnsym new`.")
    return entries


def _notes(notes: list[str]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _check_table(checks: list[Any]) -> None:
    from qnnsym.checks.check import rows_of

    if checks:
        _table(("check", "quantity", "expected", "found", "tolerance", "verdict"), rows_of(checks))
        for check in checks:
            if check.detail and check.verdict != "pass":
                typer.echo(f"  {check.name}: {check.detail}")


def _table(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Aligned columns, as wide as their entries; pipes and narrow terminals get every character."""
    if not rows:
        typer.echo("nothing to show")
        return
    widths = [max(len(str(row[n])) for row in [headers, *rows]) for n in range(len(headers))]
    for row in [headers, *rows]:
        typer.echo("  ".join(f"{cell!s:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip())
