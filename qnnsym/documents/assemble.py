"""From a model, its derivation and the record of its run to the document that every form is printed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qnnsym.checks.check import FAIL, NOT_APPLICABLE, PASS, Check
from qnnsym.documents.document import (
    CheckGroup,
    Datum,
    Document,
    Equation,
    Figure,
    ProvedStep,
    Term,
    capitalised,
    count_verdicts,
)
from qnnsym.documents.record import FigureRecord, Record
from qnnsym.documents.wording import name_tex, pieces
from qnnsym.equations.latex import latex

# Said elsewhere on the page.
_KNOWN = ("model", "signature", "hamiltonian", "parameters", "state")
_WHOLE_ARRAY = 8
_RUN = "qnnsym run "


def assembled(
    model: Any,
    derivation: Any,
    record: Record,
    checks: Sequence[Check],
    pictures: Mapping[str, bytes],
) -> Document:
    """The document of a derivation and its run.

    Arguments:
        model, derivation: as they are now.
        record: of the run.
        checks: its rows.
        pictures: {file: PNG}.

    Returns:
        Document; a derivation that has changed since the run is among its warnings.
    """
    title, _, subtitle = record.title.partition(": ")
    groups, figures = _grouped(checks, record.figures, pictures)
    warnings = [*record.warnings, *([record.advice] if record.advice else [])]
    if dict(record.equations) != dict(derivation.latex):
        warnings.append(
            "The equations on this page are not those of the run: the model has changed since. "
            f"`{record.command}` brings both together."
        )
    return replace(
        derived(derivation),
        title=title,
        subtitle=subtitle,
        abstract=_abstract(derivation, record, checks),
        data=_model_data(model, record),
        groups=groups,
        figures=figures,
        run=_run_data(record),
        warnings=warnings,
        notes=record.notes,
        kernel=record.kernel,
        signature=record.signature,
        commands=_commands(record),
        versions=[Datum(name, number) for name, number in record.versions.items()],
        references=tuple(map(str, model.references)),
    )


def derived(derivation: Any) -> Document:
    """The document of a derivation alone, before anything is solved."""
    numbers = _Numbers()
    equations = [numbers.equation(capitalised(title), tex) for title, tex in derivation.latex.items()]
    steps = [
        ProvedStep(
            number, step.title, step.sentence, numbers.equation("", step.before), numbers.equation("", step.after),
            step.assumption, proof.holds, proof.method, proof.detail,
        )
        for number, (step, proof) in enumerate(derivation.steps, 1)
    ]  # fmt: skip
    return Document(
        name=derivation.name,
        title=capitalised(derivation.name.replace("_", " ")),
        equations=[e for e in equations if e is not None],
        steps=steps,
        assumptions=_assumptions(steps),
        terms=terms_of(derivation),
        commands=[("Print this derivation", f"qnnsym derive {derivation.name}")],
    )


def _assumptions(steps: Sequence[ProvedStep]) -> list[tuple[str, tuple[int, ...]]]:
    """Each assumption once, with the steps that make it."""
    found: dict[str, tuple[int, ...]] = {}
    for step in steps:
        if step.assumption:
            found[step.assumption] = (*found.get(step.assumption, ()), step.number)
    return list(found.items())


def terms_of(derivation: Any) -> list[Term]:
    """The rows of a derivation's table of terms; none where it has no such table."""
    return [
        Term(int(row.hbar_power), latex(row.coefficient), tuple(row.dx), tuple(row.dp))
        for row in derivation.results.get("terms", ())
    ]


class _Numbers:
    """Numbers of formulas: the same formula keeps the number it has."""

    def __init__(self) -> None:
        self.given: dict[str, Equation] = {}

    def equation(self, title: str, tex: str) -> Equation | None:
        if not tex.strip():
            return None
        key = " ".join(tex.split())
        return self.given.setdefault(key, Equation(len(self.given) + 1, title, key))


def _abstract(derivation: Any, record: Record, checks: Sequence[Check]) -> str:
    count, counts = len(derivation.steps), count_verdicts(checks)
    proved = f"The equations follow in {count} steps, each with the proof that was executed for it."
    if not checks:
        return f"{proved} Nothing was checked numerically."
    verdicts = [f"{counts[PASS]} of {len(checks)} checks pass"]
    verdicts += [f"{counts[FAIL]} fail{'s' * (counts[FAIL] == 1)}"] if counts[FAIL] else []
    verdicts += [f"{counts[NOT_APPLICABLE]} do not apply"] if counts[NOT_APPLICABLE] else []
    return f"{proved} They were solved at {record.times}; {', '.join(verdicts)}."


def _grouped(
    checks: Sequence[Check], figures: Sequence[FigureRecord], pictures: Mapping[str, bytes]
) -> tuple[list[CheckGroup], list[Figure]]:
    """The checks by name with their figures, and the figures of none; numbered as they come on the page."""
    rows: dict[str, list[Check]] = {}
    for check in checks:
        rows.setdefault(check.name, []).append(check)
    owned: dict[str, list[FigureRecord]] = {name: [] for name in [*rows, ""]}
    for figure in figures:
        owned[figure.check if figure.check in rows else ""].append(figure)
    number, numbered = 0, {}
    for name, members in owned.items():
        numbered[name] = [
            Figure(
                number + n, f.file, f.caption, f.alt, name, pictures.get(f.file, b""), (f.width, f.height)
            )
            for n, f in enumerate(members, 1)
        ]  # fmt: skip
        number += len(members)
    return [CheckGroup(name, tuple(r), tuple(numbered[name])) for name, r in rows.items()], numbered[""]


def _model_data(model: Any, record: Record) -> list[Datum]:
    """The model in rows: whatever of its fields is set, and the numbers of the run."""
    provenance = record.provenance
    symbols = {**provenance.get("parameters", {}), **{k: v for k, v in provenance.items() if _is_name(k)}}
    rows = [Datum("Name", model.name)]
    if symbols:
        tex = r",\quad ".join(f"{_symbol(name)} = {_number_tex(value)}" for name, value in symbols.items())
        rows.append(Datum("Parameters", ", ".join(f"{k} = {shown(v)}" for k, v in symbols.items()), tex))
    state = model.state.items() if isinstance(model.state, Mapping) else [("", model.state)]
    rows += [Datum(f"Initial {key or 'state'}", shown(value)) for key, value in state if value is not None]
    observed = model.observe.items() if isinstance(model.observe, Mapping) else [(str(o), o) for o in model.observe]
    rows += [
        Datum("Inputs", shown(model.inputs)) if model.inputs is not None else None,
        Datum("Times", record.times),
        Datum("Observed", ", ".join(f"{k} = {v}" if str(v) != k else k for k, v in observed)) if observed else None,
        Datum("Options", shown(model.options)) if model.options else None,
        Datum("Changed by --set", shown(model.overrides)) if model.overrides else None,
    ]  # fmt: skip
    return [row for row in rows if row is not None]


def _run_data(record: Record) -> list[Datum]:
    skipped = {*_KNOWN, *(key for key in record.provenance if _is_name(key))}
    settings = {key: value for key, value in record.provenance.items() if key not in skipped}
    rows = [("status", record.status.lower().replace("_", " ")), *settings.items()]
    rows += [*record.statistics.items(), *record.diagnostics.items()]
    return [Datum(capitalised(str(key).replace("_", " ")), shown(value)) for key, value in rows]


def _commands(record: Record) -> list[tuple[str, str]]:
    """The command of the run, and what it implies for the other verbs."""
    found = [("Derive, generate, solve, check, and write this page", record.command)]
    if record.command.startswith(_RUN):
        model = record.command.removeprefix(_RUN).removesuffix(" --full")
        found += [
            ("Print the derivation", f"qnnsym derive {model}"),
            ("Repeat the checks alone", f"qnnsym verify {record.command.removeprefix(_RUN)}"),
            ("Write this page for LaTeX", f"qnnsym report {model} --format tex"),
        ]
    return found


def shown(value: Any) -> str:
    """A value in a table: numbers short, large arrays by their size and range."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (float, np.floating)):
        return f"{value + 0.0:.6g}"
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        if value.size <= _WHOLE_ARRAY and value.ndim == 1:
            return f"({', '.join(f'{v:.6g}' for v in value)})"
        size = " x ".join(map(str, value.shape))
        return f"{size} numbers from {value.min():.3g} to {value.max():.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} = {shown(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(shown, value))
    return "a function of time" if callable(value) else str(value)


def _is_name(key: str) -> bool:
    """Whether a key is a mathematical name such as hbar, and no word."""
    found = pieces(key)
    return len(found) == 1 and bool(found[0].name) and not found[0].exponent


def _symbol(name: str) -> str:
    found = pieces(name)
    return name_tex(found[0]) if _is_name(name) else rf"\mathrm{{{name.replace('_', ' ')}}}"


def _number_tex(value: Any) -> str:
    found = pieces(shown(value))
    return name_tex(found[-1]) if found and found[-1].exponent else shown(value)
