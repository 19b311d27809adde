"""What `--set` may change in a phase-space model, read by the whitelist and never evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qnnsym import expressions
from qnnsym.derivation.model import Model
from qnnsym.errors import InputError
from qnnsym.phase_space import states
from qnnsym.phase_space.equation import check_hamiltonian
from qnnsym.phase_space.space import PhaseSpace

STATES = {
    name: getattr(states, name)
    for name in (
        "GaussianState",
        "CoherentState",
        "SqueezedState",
        "CatState",
        "CatMixture",
        "ThermalState",
        "FockState",
        "Mixture",
    )
}
# A method's name is text, not an expression: it goes to the solver as it is.
TEXTS = ("method",)
NUMBERS = ("tolerance", "step")


def changed(model: Model, assignments: Mapping[str, str]) -> Model:
    """The model with H, hbar, times, state, parameters or solver options replaced.

    Arguments:
        model: a phase-space model.
        assignments: {name: text}. H may bring new symbols, each with its own assignment.

    Raises:
        InputError: for unknown names and texts that cannot be read.
    """
    fields = {"H", "hbar", "times", "state", "order", *TEXTS, *NUMBERS}
    space, values = _copy(model.space), {str(k): v for k, v in model.values.items()}
    declared = {s.name for s in space.defaults}
    others = {name: text for name, text in assignments.items() if name not in fields}
    for name, text in others.items():
        (number,) = _numbers(name, text, 1)
        if name not in declared:
            if "H" not in assignments:
                known = [*sorted(fields), *sorted(declared)]
                raise InputError(
                    f"{name} is no parameter of {model.name}.{expressions.near_miss(name, known)} It has "
                    f"{', '.join(known)}; a new symbol comes with its own H, --set \"H=...\" --set {name}=... ."
                )
        # Refuses what contradicts the assumption that H was simplified under.
        space.parameters(**{name: number})
        values[name] = number
    names = {s.name: s for s in (*space.variables, space.hbar, *space.defaults)}
    changes: dict[str, Any] = {"space": space, "values": values, "overrides": dict(assignments)}
    if "H" in assignments:
        changes["hamiltonian"] = check_hamiltonian(
            _with_hint(assignments["H"], names), space
        )
        unused = [n for n in others if n not in declared and n not in _free(changes["hamiltonian"])]
        if unused:
            raise InputError(f"{', '.join(unused)} does not occur in H = {assignments['H']}; take it out.")
    if "hbar" in assignments:
        (changes["hbar"],) = _numbers("hbar", assignments["hbar"], 1)
        if not changes["hbar"].is_positive:
            raise InputError(f"hbar is {assignments['hbar']}; give a positive number.")
    if "times" in assignments:
        start, stop, number = _numbers("times", assignments["times"], 3)
        if not number.is_Integer:
            raise InputError(f"times={assignments['times']} has no whole number of times; write (start, stop, number).")
        changes["times"] = (float(start), float(stop), int(number))
    if "state" in assignments:
        changes["state"] = expressions.parse_call(assignments["state"], STATES, names)
    options = dict(model.options)
    for name in (n for n in ("order", *TEXTS, *NUMBERS) if n in assignments):
        text = assignments[name].strip("'\"")
        options[name] = text if name in TEXTS or text == "exact" else _option(name, text)
    return model.changed(**changes, options=options)


def _option(name: str, text: str) -> Any:
    (number,) = _numbers(name, text, 1)
    return int(number) if name == "order" and number.is_Integer else float(number)


def _with_hint(text: str, names: Mapping[str, Any]) -> Any:
    try:
        return expressions.parse_expression(text, names)
    except InputError as error:
        if "is not known" in str(error):
            raise InputError(f"{error} A new symbol needs its own --set NAME=VALUE.") from None
        raise


def _numbers(name: str, text: str, count: int) -> tuple:
    values = expressions.parse_values(text)
    if len(values) != count or not all(v.is_number and v.is_real for v in values):
        shape = "a number" if count == 1 else "(start, stop, number)"
        raise InputError(f"{name}={text} is not {shape}; write it with numbers only.")
    return values


def _copy(space: PhaseSpace) -> PhaseSpace:
    copy = PhaseSpace([s.name for s in space.x], [s.name for s in space.p])
    copy.parameters(**{s.name: value for s, value in space.defaults.items()})
    return copy


def _free(expression: Any) -> set[str]:
    return {s.name for s in expression.free_symbols}
