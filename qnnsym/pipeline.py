"""The stages of qnnsym in the order in which they run.

    load      NAME                      -> Model         the derivation file, executed
    set       Model, NAME=VALUE ...     -> Model         the room reads its own settings
    derive    Model                     -> Derivation    every step proved, or everything stops
    render    Derivation                -> Source        text of the kernels and their manifest
    kernels   Source, Workspace         -> Kernels       the committed copy where it is the same, else built
    solve     Model, Kernels            -> Solution      with its diagnostics
    verify    Model, Solution           -> [Check]       limits, invariants, orders, oracles
    report    everything                -> Document      page, figures, results on disk

A room (phase_space, neural) takes part by four modules found by name: steps.derive, numerics.solve_model,
settings.changed, and limits, whose specifications the model carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from qnnsym.checks.check import Check, Context, failed, run_checks
from qnnsym.codegen.build import KERNELS, Source, built, render
from qnnsym.codegen.manifest import check_folder, compare_folders, write_folder
from qnnsym.derivation.model import Model
from qnnsym.derivation.step import Derivation
from qnnsym.errors import INTERRUPTED, InputError, SolverError
from qnnsym.solvers.kernels import Kernels, load_kernels
from qnnsym.solvers.solution import Solution, Status
from qnnsym.workspace import Entry, Workspace


@dataclass
class Outcome:
    """What a run leaves.

    Attributes:
        name, model, derivation: what was run.
        source: text of the kernels and their manifest.
        solution: with its diagnostics; it may end early, and is not checked then.
        checks: rows of the table of checks.
        figures: descriptions of figures, as the checks give them.
        notes: sentences that the user should see.
        folder, page: where the results were written, if they were.
    """

    name: str
    model: Model
    derivation: Derivation
    source: Source
    solution: Solution
    checks: list[Check] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folder: Path | None = None
    page: Path | None = None

    @property
    def kernel(self) -> str:
        """Text of the kernels that were run."""
        return self.source.files[KERNELS]

    @property
    def signature(self) -> str:
        """Content hash of the kernels."""
        return self.source.manifest.signature

    @property
    def exit_status(self) -> int:
        """0 all is well, 1 a check failed, 3 the solver gave up, 130 the user interrupted it."""
        if self.solution.status is Status.INTERRUPTED:
            return INTERRUPTED
        if not self.solution.success:
            return SolverError.exit_status
        return 1 if failed(self.checks) else 0


def room(model: Model, part: str) -> ModuleType:
    """A module of the model's physics room."""
    return import_module(f"{model.room_name}.{part}")


def load(name: str | Entry, settings: Mapping[str, str] | None = None, workspace: Workspace | None = None) -> Model:
    """The model of a derivation file.

    Arguments:
        name: a path, a file in ./derivations, or a shipped derivation.
        settings: {name: text} as `--set` takes them.

    Raises:
        InputError: for unknown names, errors in the file, and settings that the model does not have.
    """
    workspace = workspace or Workspace.find()
    model = workspace.load_model(workspace.resolve(name))
    return room(model, "settings").changed(model, settings) if settings else model


def derive(model: Model | str, order: int | None = None) -> Derivation:
    """Derive a model's equations and prove every step.

    Raises:
        ObligationFailed: naming the step that does not hold. InputError: for a model that cannot be derived.
    """
    model = load(model) if isinstance(model, str) else model
    return room(model, "steps").derive(model, order)


def source(model: Model, derivation: Derivation) -> Source:
    """The text of a model's kernels.

    Raises:
        InputError: for a model whose equations have no kernels.
    """
    if not derivation.equations:
        raise InputError(
            f"The equations of {model.name} have no kernels: they are generated for an H without undefined "
            f"functions and for networks. `qnnsym derive {model.name}` gives the equations."
        )
    kind = str(model.room_name).rpartition(".")[2].replace("_", "-")
    return render(model.name, kind, derivation.equations, derivation.line)


def kernels(text: Source, entry: Entry | None, workspace: Workspace) -> tuple[Kernels, list[str]]:
    """Compiled kernels for a text: the committed copy where it says the same, else built under .qnnsym.

    Raises:
        KernelRefused: when the committed folder was tampered with.
    """
    manifest, notes, folder = text.manifest, [], None
    if entry is not None:
        if entry.generated.is_dir():
            committed = check_folder(entry.generated)
            if committed.signature == manifest.signature:
                folder = entry.generated
            else:
                notes.append(
                    f"The committed kernels of {entry.name} are stale: the model has changed. New ones were built for "
                    f"this run; `qnnsym generate {entry.name}` renews the committed copy."
                )
        else:
            notes.append(f"{entry.name} has no committed kernels; `qnnsym generate {entry.name}` writes them.")
    if folder is None:
        folder = built(text, workspace.kernels)
    loaded = load_kernels(
        folder / KERNELS, manifest.functions, manifest.signature, manifest.parameters, workspace.cache
    )
    return loaded, [*notes, *loaded.notes, *([workspace.cache_note] if workspace.cache_note else [])]


def generate(names: Sequence[str | Entry] = (), check: bool = False, workspace: Workspace | None = None) -> list[str]:
    """Write the kernels of derivations to ./generated, or compare them with what is there.

    Arguments:
        names: derivations; none means all in ./derivations.
        check: write nothing, report differences.

    Returns:
        What was written, or the differences found (empty: none), one sentence each.

    Raises:
        InputError: for shipped derivations, which are never written to. ObligationFailed: nothing is generated.
    """
    workspace = workspace or Workspace.find()
    entries = [workspace.resolve(n) for n in names] or workspace.entries("here")
    if not entries:
        raise InputError("There are no derivations in ./derivations; `qnnsym new NAME --kind phase-space` makes one.")
    said = []
    for entry in entries:
        if not check and not workspace.writable(entry):
            raise InputError(
                f"{entry.name} is shipped with qnnsym, and its kernels are never written to; copy {entry.path} to "
                "./derivations to have your own."
            )
        model = workspace.load_model(entry)
        derivation = derive(model)
        if not derivation.equations:
            said += [] if check else [f"{entry.name}: its equations have no kernels"]
            continue
        text = source(model, derivation)
        if check:
            said += compare_folders(text.folder, entry.generated)
        else:
            said.append(str(write_folder(entry.generated, text.files, text.manifest)))
    if check and not names:
        known = {e.name for e in workspace.entries("here")}
        orphans = [p for p in workspace.generated.glob("*") if p.is_dir() and p.name not in known]
        said += [f"{p} belongs to no derivation; remove it." for p in sorted(orphans)]
    return said


def verify(
    name: str | Entry,
    settings: Mapping[str, str] | None = None,
    workspace: Workspace | None = None,
    full: bool = False,
    progress: bool | None = None,
) -> Outcome:
    """Derive, solve and check one model; no results are written.

    Arguments:
        name: a path, a file in ./derivations, or a shipped derivation.
        settings: {name: text} as `--set` takes them.
        full: heavier settings of the checks.
        progress: show bars; None: on a terminal, after a second.

    Returns:
        Outcome; a solution that ended early is not checked.

    Raises:
        QnnsymError: of the stage that fails.
    """
    workspace = workspace or Workspace.find()
    entry = workspace.resolve(name)
    model = load(entry, settings, workspace)
    derivation = derive(model)
    text = source(model, derivation)
    compiled, notes = kernels(text, None if settings else entry, workspace)
    solution = room(model, "numerics").solve_model(model, compiled, derivation, progress=progress)
    outcome = Outcome(entry.name, model, derivation, text, solution, notes=notes)
    if solution.success:
        context = Context(model, derivation, compiled, solution, full, outcome.figures)
        outcome.checks = run_checks(model.checks, context)
    else:
        outcome.notes.append("The solution ended early, so that nothing was checked.")
    return outcome


def run(
    name: str | Entry,
    settings: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
    full: bool = False,
    progress: bool | None = None,
) -> Outcome:
    """All stages for one model; writes NAME.nc, NAME.html, figures and checks.json.

    Arguments:
        name: a path, a file in ./derivations, or a shipped derivation.
        settings: {name: text} as `--set` takes them.
        out: folder of the results; ./results/NAME (and a variant's folder below it) when not given.
        full: heavier settings of the checks.
        progress: show bars; None: on a terminal, after a second.

    Raises:
        QnnsymError: of the stage that fails; results of an earlier run stay as they are then.
    """
    from qnnsym.documents.pages import write_results

    workspace = workspace or Workspace.find()
    outcome = verify(name, settings, workspace, full, progress)
    outcome.folder = workspace.results_dir(outcome.name, settings, out)
    outcome.page = write_results(
        outcome, outcome.figures, outcome.folder, command=_command(outcome.name, settings, full)
    )
    return outcome


def _command(name: str, settings: Mapping[str, str] | None, full: bool) -> str:
    parts = ["qnnsym run", name, *(f'--set "{k}={v}"' for k, v in (settings or {}).items()), *(["--full"] * full)]
    return " ".join(parts)


def report(
    name: str | Entry,
    form: str = "html",
    settings: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
) -> Path:
    """Write the page of a model again from the results of its last run, in another form if wanted.

    Arguments:
        name: a path, a file in ./derivations, or a shipped derivation.
        form: "html", "md" or "tex".
        settings: {name: text} of the run, as `--set` took them.
        out: folder of the results, if the run was given one.

    Raises:
        InputError: when there are no results yet. StorageError: when they cannot be read.
    """
    from qnnsym.documents.pages import rewrite_page

    workspace = workspace or Workspace.find()
    entry = workspace.resolve(name)
    folder, command = workspace.results_dir(entry.name, settings, out), _command(entry.name, settings, False)
    if not (folder / "checks.json").is_file():
        raise InputError(f"There are no results of {entry.name} in {folder}; `{command}` makes them.")
    model = load(entry, settings, workspace)
    return rewrite_page(model, derive(model), folder, form, command=command)
