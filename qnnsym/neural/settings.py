"""What `--set` may change in a neural model, read by the whitelist and never evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from qnnsym import expressions
from qnnsym.derivation.model import Model
from qnnsym.errors import InputError
from qnnsym.neural.network import ACTIVATIONS

TEXTS = ("reading", "kinetic", "method")
NUMBERS = ("rtol", "atol", "step")


def changed(model: Model, assignments: Mapping[str, str]) -> Model:
    """The model with its activation, times, parameters or solver options replaced.

    Arguments:
        model: a neural model.
        assignments: {name: text}; the activation is a name or an expression in u.

    Raises:
        InputError: for unknown names and texts that cannot be read.
    """
    hamiltonian, options = model.hamiltonian.changed(), dict(model.options)
    changes: dict[str, Any] = {"overrides": dict(assignments)}
    if "activation" in assignments:
        text = assignments["activation"]
        given = text if text in ACTIVATIONS else expressions.parse_expression(text, {"u": sp.Symbol("u", real=True)})
        hamiltonian = hamiltonian.changed(network=hamiltonian.network.with_activation(given))
    for name, text in assignments.items():
        if name == "activation":
            continue
        if name == "reading":
            changes["reading"] = text
        elif name in TEXTS:
            options[name] = text
        elif name in NUMBERS:
            options[name] = _number(name, text)
        elif name == "times":
            values = expressions.parse_values(text)
            if len(values) != 3 or not all(v.is_number for v in values) or not values[2].is_Integer:
                raise InputError(f"times={text} is not (start, stop, number); write it with numbers only.")
            changes["times"] = (float(values[0]), float(values[1]), int(values[2]))
        elif name in hamiltonian.parameter_names:
            hamiltonian.set_value(name, float("inf") if text in ("oo", "inf") else _number(name, text))
        else:
            known = [*hamiltonian.parameter_names, "activation", "times", *TEXTS, *NUMBERS]
            reason = "the Hamiltonian of a network is structured: edit its file" if name == "H" else "it is not known"
            raise InputError(
                f"{name} cannot be set, {reason}.{expressions.near_miss(name, known)} This model has "
                f"{', '.join(known)}."
            )
    return model.changed(hamiltonian=hamiltonian, options=options, **changes)


def _number(name: str, text: str) -> float:
    values = expressions.parse_values(text)
    if len(values) != 1 or not values[0].is_number or not values[0].is_real:
        raise InputError(f"{name}={text} is not a number; give one.")
    return float(values[0])
