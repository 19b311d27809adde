"""Wrong characteristic equations made from right ones: every slip of the pen, one at a time.

`python -m tests.neural.mutations` runs all of them and tells what is caught, and by which step.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import sympy as sp

from qnnsym.derivation.step import Derivation
from qnnsym.equations.indexed import Equation, EquationSet
from qnnsym.errors import InputError, ObligationFailed
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, epoch_steps, steps
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.hamiltonian import INPUTS, SIZE
from tests.equations.direct import assembled, value

SIZES = {SIZE: 3, INPUTS: 2}


# slips in an expression ---------------------------------------------------------------------------------------------


def slips(e: sp.Expr, equations: EquationSet, scope: tuple) -> Iterator[tuple[str, sp.Expr]]:
    """(what was done, the wrong expression) for every part of an indexed expression.

    Arguments:
        e: the expression.
        equations: whose declarations name the arrays and sets.
        scope: (index, its set) of the indices that may stand here.
    """
    if isinstance(e, sp.Add):
        for n, term in enumerate(e.args):
            rest = sp.Add(*e.args[:n], *e.args[n + 1 :])
            yield f"sign of {short(term)} flipped", rest - term
            yield f"{short(term)} dropped", rest
            yield f"{short(term)} twice", rest + 2 * term
    if isinstance(e, sp.Mul):
        for n, factor in enumerate(e.args):
            rest = sp.Mul(*e.args[:n], *e.args[n + 1 :])
            if factor.is_Rational and factor not in (1, -1):
                yield f"{factor} made {factor + 1}", rest * (factor + 1)
            elif not factor.is_number:
                yield f"factor {short(factor)} dropped", rest
    if isinstance(e, sp.Pow) and e.exp.is_Integer:
        yield f"power of {short(e)} raised", e.base ** (e.exp + 1) if e.exp != -1 else e.base**-2
    if isinstance(e, sp.Function):
        yield f"{e.func.__name__} forgotten", e.args[0]
        yield f"argument of {short(e)} negated", e.func(-e.args[0])
    if isinstance(e, sp.Symbol) and e in equations.scalars:
        other = equations.scalars[(equations.scalars.index(e) + 1) % len(equations.scalars)]
        yield f"{other} for {e}", other
    if isinstance(e, sp.Indexed):
        yield from _wrong_entries(e, equations, scope)
    elif isinstance(e, sp.Sum):
        *inner, (index, low, high) = e.limits
        home = next(s for s in equations.index_sets() if sp.expand(s.extent - 1 - high) == 0)
        body = sp.Sum(e.function, *inner) if inner else e.function
        yield f"last term of the sum over {index} forgotten", sp.Sum(body, (index, low, high - 1))
        yield f"factor 2 before the sum over {index}", 2 * e
        for what, wrong in slips(body, equations, (*scope, (index, home))):
            yield what, sp.Sum(wrong, (index, low, high))
    else:
        for n, part in enumerate(e.args):
            for what, wrong in slips(part, equations, scope):
                yield what, e.func(*e.args[:n], wrong, *e.args[n + 1 :])


def _wrong_entries(e: sp.Indexed, equations: EquationSet, scope: tuple) -> Iterator[tuple[str, sp.Expr]]:
    arrays = {a.base: a for a in equations.arrays}
    array = arrays.get(e.base)
    if array is not None:
        alike = [a for a in equations.arrays if a.axes == array.axes]
        other = alike[(alike.index(array) + 1) % len(alike)]
        if other != array:
            yield f"{other.name} for {e}", other[e.indices]
    homes = dict(scope)
    for n, index in enumerate(e.indices):
        bare = [s for s in index.free_symbols if s in homes]
        if len(bare) != 1:
            continue
        for candidate, home in scope:
            if home == homes[bare[0]] and candidate != bare[0]:
                yield f"{candidate} for {index} in {e}", e.base[(*e.indices[:n], index.xreplace({bare[0]: candidate}),
                                                                 *e.indices[n + 1 :])]  # fmt: skip
        if index != bare[0]:
            yield f"offset of {e} one less", e.base[(*e.indices[:n], index - 1, *e.indices[n + 1 :])]
    if len(e.indices) == 2 and len(bare) == 1 and bare[0] != e.indices[1] and homes[bare[0]] == homes[e.indices[0]]:
        row, offset = e.indices[0], e.indices[1] - bare[0]
        yield f"{e} transposed", e.base[bare[0], row + offset]


def short(e: sp.Expr) -> str:
    text = sp.sstr(e)
    return text if len(text) <= 40 else text[:37] + "..."


# wrong equation sets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """An equation set with one slip."""

    what: str
    equations: EquationSet


def wrong_sets(equations: EquationSet, every: int = 1) -> Iterator[Wrong]:
    """Every n-th equation set that differs from this one by one slip, equal ones left out.

    Whether a slip changes anything is seen by evaluating entry by entry at random numbers.
    """
    arrays, numbers = numbers_for(equations, 1)
    homes = {s.index(n): s for s in equations.index_sets() for n in range(3)}
    count = 0
    for kind in ("equations", "entries"):
        listed = getattr(equations, kind)
        for n, equation in enumerate(listed):
            scope = tuple((i, homes[i]) for i in equation.target.indices if i in homes)
            right = None
            for what, wrong in _all_slips(equation, equations, scope):
                count += 1
                if count % every:
                    continue
                if wrong.target == equation.target:
                    right = _values(equation, equation.rhs, arrays, numbers) if right is None else right
                    if np.allclose(_values(equation, wrong.rhs, arrays, numbers), right, rtol=1e-9, atol=1e-12):
                        continue
                others = (*listed[:n], wrong, *listed[n + 1 :])
                yield Wrong(f"{equation.target}: {what}", equations.changed(**{kind: others}))
    for n, entry in enumerate(equations.entries):
        others = equations.entries[:n] + equations.entries[n + 1 :]
        for what, entries in (("forgotten", others), ("twice", (*equations.entries, entry))):
            count += 1
            if count % every == 0:
                yield Wrong(f"{entry.target}: force {what}", equations.changed(entries=entries))


def _all_slips(equation: Equation, equations: EquationSet, scope: tuple) -> Iterator[tuple[str, Equation]]:
    yield "sign of all flipped", Equation(equation.target, -equation.rhs)
    yield "all dropped", Equation(equation.target, sp.S.Zero)
    yield "all twice", Equation(equation.target, 2 * equation.rhs)
    for what, rhs in slips(equation.rhs, equations, scope):
        yield what, Equation(equation.target, rhs)
    if not scope:  # an irregular term: it may stand at the wrong place
        first, *rest = equation.target.indices
        yield "at another neuron", Equation(equation.target.base[(1 - first if first < 2 else 0, *rest)], equation.rhs)


def numbers_for(equations: EquationSet, seed: int) -> tuple[dict, dict]:
    """Random arrays by name (zeros and ones for masks and choices) and random scalars."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for array in equations.arrays:
        shape = [int(axis.extent.subs(SIZES)) for axis in array.axes]
        binary = array.name in ("S", "G") or array.name.startswith("f")
        arrays[array.name] = rng.integers(0, 2, shape) if binary else rng.normal(size=shape)
    for stack in equations.stacks:
        arrays[stack.name] = assembled(stack, arrays, SIZES)
    return arrays, {**SIZES, **{s: rng.uniform(0.5, 2) for s in equations.scalars}, equations.time: 0.4}


def _values(equation: Equation, rhs: sp.Expr, arrays: dict, numbers: dict) -> np.ndarray:
    free = [i for i in equation.target.indices if isinstance(i, sp.Symbol)]
    shape = [arrays["W"].shape[n] for n in range(len(free))]
    return np.array([
        value(rhs, arrays, {**numbers, **dict(zip(free, at, strict=True))}) for at in np.ndindex(*shape)
    ])  # fmt: skip


# what catches them -------------------------------------------------------------------------------------------------


@contextmanager
def second_route_kept() -> Iterator[None]:
    """The written-out Hamiltonian does not depend on the slip: it is differentiated once."""
    kept = steps.written_out, steps.hamilton_rates
    steps.written_out, steps.hamilton_rates = cache(steps.written_out), cache(steps.hamilton_rates)
    try:
        yield
    finally:
        steps.written_out, steps.hamilton_rates = kept


def caught_by(eqs: CharacteristicEquations, only: str | None = None, given: Any = None) -> str | None:
    """The step at which the derivation stops, or None when the wrong equations pass as proved.

    Arguments:
        eqs: the wrong equations.
        only: title of the one step that the slip concerns; the others are not executed.
        given: the steps; None: those of the characteristic equations.
    """
    derivation = Derivation("wrong")
    try:
        derivation.prove(s for s in (steps.steps(eqs) if given is None else given) if only in (None, s.title))
    except ObligationFailed:
        return derivation.steps[-1][0].title
    except InputError:
        return "refused"
    return None


def wrong_equations(eqs: CharacteristicEquations, every: int = 1) -> Iterator[tuple[str, CharacteristicEquations]]:
    """Equations with a slip in a rate; what follows from the rates follows from the wrong ones."""
    for wrong in wrong_sets(eqs.equations, every):
        yield wrong.what, replace(eqs, equations=wrong.equations)


def wrong_tangents(eqs: CharacteristicEquations, every: int = 1) -> Iterator[tuple[str, CharacteristicEquations]]:
    """Right equations with a slip in the tangent equations, the rates that stand there again included."""
    for wrong in wrong_sets(eqs.tangent, every):
        changed = replace(eqs)
        changed.__dict__["tangent"] = wrong.equations
        yield wrong.what, changed


def wrong_hamiltonians(eqs: CharacteristicEquations, every: int = 1) -> Iterator[tuple[str, CharacteristicEquations]]:
    """Equations derived rightly from an index form with a slip."""
    h, right = eqs.hamiltonian, eqs.hamiltonian.index_form(eqs.kinetic)
    arrays, numbers = numbers_for(eqs.equations, 1)
    correct = value(right, arrays, numbers)
    for what, wrong in islice(slips(right, eqs.equations, ()), every // 2, None, every):
        if np.isclose(value(wrong, arrays, numbers), correct, rtol=1e-9):
            continue
        changed = h.changed()
        changed.index_form = lambda sign=1, wrong=wrong: wrong
        yield what, replace(eqs, hamiltonian=changed)


def models() -> dict[str, CharacteristicEquations]:
    """Equations of every kind: masks, choices of activations, a user's cost, both signs."""
    rng = np.random.default_rng(3)
    mask, moves = rng.integers(0, 2, (2, 3, 6))
    mask[:, 3] = moves[:, 3] = 1
    net = Network(3, 2)
    cost = (net.y[0] - sp.cos(net.t)) ** 2 * net.x[0] + net.y[1] * net.W[0, 1] ** 2 + sp.exp(-net.W[2, 0] * net.y[2])
    return {
        "tanh, quadratic cost": NeuralHamiltonian(net, 1.0, 2.0, QuadraticCost()).characteristic_equations(),
        "masks, logistic, minus": NeuralHamiltonian(
            Network(3, 2, "logistic", mask), 1.0, 2.0, QuadraticCost(), dynamical=moves
        ).characteristic_equations(kinetic="minus"),
        "choice of activations": NeuralHamiltonian(
            Network(3, 2, ["tanh", "relu", "softplus"]), 1.0, 2.0
        ).characteristic_equations(),
        "cost of the user": NeuralHamiltonian(net, 1.0, 2.0, cost).characteristic_equations(),
    }


def wrong_ends() -> Iterator[tuple[str, epoch_steps.Ends]]:
    """Ends of an epoch at which one value is not what the scheme says."""
    for name in ("costate", "momenta", "change"):
        for value_ in (1, sp.Symbol("w", real=True)):
            yield f"{name} = {value_} at its end of the epoch", epoch_steps.Ends(**{name: sp.sympify(value_)})


def epoch_outcomes(eqs: CharacteristicEquations, every: int = 1) -> list[tuple[str, str | None]]:
    """(slip, step of the epoch scheme that catches it); the comparison with Hamilton's equations is left out.

    A slip in any rate breaks the variation, its pairing with the costates or what the momenta collect: the identity
    itself is sensitive, not only the equations that it starts from.
    """
    found = []
    with second_route_kept():
        for what, wrong in wrong_equations(replace(eqs, equations=eqs.equations.changed(entries=())), every):
            given = (s for s in epoch_steps.steps(wrong) if s.title != "Sweeps of an epoch")
            found.append((what, caught_by(wrong, given=given)))
    return found


# Kind of slip: (the wrong equations, the step it concerns or None for all)
KINDS = {
    "equations": (wrong_equations, None),
    "tangent": (wrong_tangents, "Tangent equations"),
    "Hamiltonian": (wrong_hamiltonians, "Index form"),
}


def outcomes(kind: str, eqs: CharacteristicEquations, every: int = 1) -> list[tuple[str, str | None]]:
    """(slip, step that catches it) for every n-th slip."""
    made, only = KINDS[kind]
    with second_route_kept():
        return [(what, caught_by(wrong, only)) for what, wrong in made(eqs, every)]


def main() -> int:
    total, escaped = 0, []
    for name, eqs in models().items():
        for kind in KINDS:
            found = outcomes(kind, eqs)
            total += len(found)
            escaped += [f"{name}, {kind}: {what}" for what, by in found if by is None]
            counts = Counter(by for _, by in found)
            print(f"{name}, {kind}: {len(found)} slips; " + ", ".join(f"{b} {c}" for b, c in counts.most_common()))
        if eqs.kinetic > 0:
            found = epoch_outcomes(eqs)
            total += len(found)
            escaped += [f"{name}, epochs: {what}" for what, by in found if by is None]
            counts = Counter(by for _, by in found)
            print(f"{name}, epochs: {len(found)} slips; " + ", ".join(f"{b} {c}" for b, c in counts.most_common()))
    print(f"{total - len(escaped)} of {total} caught")
    print("\n".join(escaped))
    return int(len(escaped) > 0.05 * total)


if __name__ == "__main__":
    sys.exit(main())
