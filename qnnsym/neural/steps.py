"""From a neural model to its checked characteristic equations: the steps and what proves each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from qnnsym.derivation.model import Model
from qnnsym.derivation.obligations import NumericAgreement, SymbolicZero, VanishingOrder
from qnnsym.derivation.step import Derivation, Step
from qnnsym.equations.indexed import EquationSet
from qnnsym.equations.latex import latex
from qnnsym.equations.unroll import array_entries, entry_sums, unroll, unrolled_rates
from qnnsym.errors import InputError
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.hamiltonian import INPUTS, SIZE, M, NeuralHamiltonian, W, Z
from qnnsym.neural.printing import drive_latex, hamiltonian_latex, shifted_latex
from qnnsym.neural.written_out import hamilton_rates, written_out

# Unequal extents, so that an index of the wrong set cannot go unnoticed.
PROOF_SIZES = ((2, 1), (3, 2))


def derive(model: Model, order: int | None = None) -> Derivation:
    """Derive and prove the characteristic equations of a neural model.

    Arguments:
        model: a Model whose Hamiltonian is a NeuralHamiltonian; with the option scheme="epochs" the steps of the epoch
            scheme of learning follow (see `epoch_steps`).
        order: None; the characteristic equations have no expansion parameter.

    Raises:
        InputError: for an order. ObligationFailed: when a step is not proved.
    """
    hamiltonian = model.hamiltonian
    if not isinstance(hamiltonian, NeuralHamiltonian):
        raise InputError(f"The Hamiltonian of {model.name} is {hamiltonian!r}; give a NeuralHamiltonian.")
    if order is not None:
        raise InputError(f"order={order} was given; characteristic equations are exact. Leave --order out.")
    eqs = hamiltonian.characteristic_equations(model.reading, model.options.get("kinetic", "plus"))
    derivation = Derivation(model.name)
    delayed = eqs.reading != "canonical"
    if delayed:
        from qnnsym.neural import shift_steps

        derivation.prove(shift_steps.steps(eqs))
    else:
        derivation.prove(steps(eqs))
    learning = _scheme(model)
    if learning:
        from qnnsym.neural import epoch_steps

        derivation.prove(epoch_steps.steps(eqs))
    derivation.equations = {"rhs": eqs.equations, "rhs_jvp": eqs.tangent}
    derivation.line = eqs.line
    derivation.results = {"equations": eqs}
    written = shifted_latex if delayed else hamiltonian_latex
    derivation.latex = {"Hamiltonian": written(hamiltonian, eqs.kinetic), **eqs.latex}
    if learning:
        derivation.latex |= epoch_steps.LATEX
    return derivation


def _scheme(model: Model) -> bool:
    """Whether the epoch scheme is derived as well."""
    scheme = model.options.get("scheme", "flow")
    if scheme not in ("flow", "epochs"):
        raise InputError(f"The scheme of {model.name} is {scheme!r}; use 'flow' (the default) or 'epochs'.")
    return scheme == "epochs"


def steps(eqs: CharacteristicEquations) -> Iterable[Step]:
    """The steps of the derivation, lazily: none after a failed one is ever made."""
    hamiltonian, sign = eqs.hamiltonian, eqs.kinetic
    yield Step(
        "Index form",
        "The network Hamiltonian is written with sums over index sets whose extents N and l stay symbols; the neuron "
        "variables enter the drive through the assembled vector z.",
        drive_latex(hamiltonian),
        hamiltonian_latex(hamiltonian, sign),
        SymbolicZero(
            [
                unroll(hamiltonian.index_form(sign), sizes_of(neurons, inputs), (Z,))
                - written_out(hamiltonian, neurons, inputs, sign)
                for neurons, inputs in PROOF_SIZES
            ]
        ),
        "Delays removed; each neuron has one costate, inputs and bias have none.",
    )
    general = eqs.equations.changed(entries=())
    pairs = [
        (unrolled_rates(general, sizes_of(neurons, inputs)), hamilton_rates(hamiltonian, neurons, inputs, sign))
        for neurons, inputs in PROOF_SIZES
    ]
    titles = (
        ("Activity", "activity", r"\dot y_{k} = \frac{\partial H}{\partial \Delta_{k}}"),
        ("Costate", "costate", r"\dot \Delta_{k} = -\frac{\partial H}{\partial y_{k}}"),
        ("Weights", "weights", r"\dot W_{k j} = \frac{\partial H}{\partial M_{k j}}"),
        ("Momenta", "momenta", r"\dot M_{k j} = -\frac{\partial H}{\partial W_{k j}}"),
    )
    for part, (title, label, before) in enumerate(titles):
        gaps = []
        for (index_form, by_sympy), (neurons, inputs) in zip(pairs, PROOF_SIZES, strict=True):
            at = _part(general, part, neurons, inputs)
            gaps += [a - b for a, b in zip(index_form[at], by_sympy[at], strict=True)]
        yield Step(
            title,
            "The derivative is taken at index level, its deltas contracted; unrolled at N = 2 and 3 it equals SymPy's "
            "derivative of the Hamiltonian written out neuron by neuron.",
            before,
            eqs.latex[label],
            SymbolicZero(gaps),
            "Static weights have no conjugate momentum." if hamiltonian.dynamical is not None and part == 3 else "",
        )
    if eqs.equations.entries or hamiltonian.cost_entries():
        yield cost_step(eqs)
    yield from _structure(eqs, general)


def _structure(eqs: CharacteristicEquations, general: EquationSet) -> Iterable[Step]:
    """What Hamilton's equations imply, shown for the equations as generated."""
    neurons, inputs = PROOF_SIZES[0]
    hamiltonian, fixed = eqs.hamiltonian, mask_numbers(*PROOF_SIZES[0])
    h = written_out(hamiltonian, neurons, inputs, eqs.kinetic).xreplace(fixed)
    states = [s for a in general.arrays if a.role == "state" for _, s in array_entries(a, sizes_of(neurons, inputs))]
    rates = [r.xreplace(fixed) for r in unrolled_rates(general, sizes_of(neurons, inputs))]
    yield Step(
        "Conservation of H",
        "Along the flow the change of H from the coordinates cancels that from the momenta.",
        r"\dot H = \sum H_{q} \dot q + H_{p} \dot p",
        r"\dot H = 0",
        SymbolicZero([sp.Add(*(sp.diff(h, s) * r for s, r in zip(states, rates, strict=True)))]),
        "Inputs, targets and cost do not depend on time.",
    )
    yield Step(
        "Conservation of phase-space volume",
        "The flow has no divergence: neurons contract as their costates expand.",
        r"\operatorname{div} = \sum \frac{\partial \dot q}{\partial q} + \frac{\partial \dot p}{\partial p}",
        r"\operatorname{div} = 0",
        SymbolicZero([sp.Add(*(sp.diff(r, s) for s, r in zip(states, rates, strict=True)))]),
    )
    action = sp.Add(*(p * sp.diff(h, p) for p in states if p.name[0] in "DM")) - h
    kinetic = sp.Add(*(p * sp.diff(h, p) for p in states if p.name[0] == "M")) / 2
    cost = h.xreplace({s: sp.S.Zero for s in states if s.name[0] in "DM"})
    yield Step(
        "Action along a characteristic",
        "J changes by p H_p - H with one common index; the costates drop out because H is linear in them.",
        r"\frac{dJ}{dt} = J_t + \sum_k \Delta_k H_{\Delta_k} + \sum_{k j} M_{k j} H_{M_{k j}}",
        r"\frac{dJ}{dt} = \sum_{k j} \tfrac12 M_{k j} \dot W_{k j} - E",
        SymbolicZero([action - (kinetic - cost)]),
        "J solves the Hamilton-Jacobi equation.",
    )
    yield Step(
        "Tangent equations",
        "The Jacobian-vector product is the derivative of the rates along a direction; the remainder of the rates at a "
        "displaced state is of second order.",
        r"F(s + \varepsilon v) = F(s) + \varepsilon F'(s) v + R",
        r"R = \mathcal{O}(\varepsilon^{2})",
        tangent_obligation(eqs, neurons, inputs, fixed),
    )


def tangent_obligation(
    eqs: CharacteristicEquations, neurons: int, inputs: int, fixed: dict, base: EquationSet | None = None
) -> VanishingOrder:
    """The rates at a displaced state against rates and tangent; `base` is the set the tangent was made from."""
    base = base or eqs.equations
    general = base.changed(entries=())
    tangent = eqs.tangent.changed(entries=())
    sizes, small = sizes_of(neurons, inputs), sp.Symbol("varepsilon", positive=True)
    states = [s for a in general.arrays if a.role == "state" for _, s in array_entries(a, sizes)]
    moved = [a for a in tangent.arrays if a.role == "state"][len([a for a in general.arrays if a.role == "state"]) :]
    directions = [s for a in moved for _, s in array_entries(a, sizes)]
    plain_rates, both = unrolled_rates(general, sizes), unrolled_rates(tangent, sizes)
    count = len(plain_rates)
    # (rate as proved above, the same rate and its product with the Jacobian in the tangent equations)
    rows = list(zip(plain_rates, both[:count], both[count:], strict=True))
    shift = {s: s + small * v for s, v in zip(states, directions, strict=True)}
    if base.entries or eqs.tangent.entries:
        # A user's cost names single entries of its own network, which may be larger than the size of the proof.
        own = sizes_of(*eqs.sizes)
        proved, sums = entry_sums(base, own), entry_sums(eqs.tangent, own)
        occurring = {s for e in (*proved.values(), *sums.values()) for s in e.free_symbols}
        places = dict.fromkeys((name.removesuffix("_v"), at) for name, at in (*proved, *sums))
        rows += [
            (proved.get((name, at), sp.S.Zero), *(sums.get((label, at), sp.S.Zero) for label in (name, name + "_v")))
            for name, at in places
        ]
        for array, direction in zip((a for a in general.arrays if a.role == "state"), moved, strict=True):
            ends = zip(array_entries(array, own), array_entries(direction, own), strict=True)
            shift |= {s: s + small * v for (_, s), (_, v) in ends if s in occurring}
    remainder = sp.Add(
        *(
            # Unequal weights, so that errors in two components cannot cancel.
            sp.sqrt(number + 2) * (proved_rate.xreplace(shift) - rate - small * product)
            for number, (proved_rate, rate, product) in enumerate(rows)
        )
    ).xreplace(fixed)
    remainder = plain(remainder)
    # Both sides of a kink have to be met; without one, functions of positive arguments are met where they are real.
    signed = remainder.has(sp.Max, sp.Heaviside)
    ranges = {s: (-1.7 if signed and s not in general.scalars else 0.3, 1.7) for s in remainder.free_symbols - {small}}
    return VanishingOrder(remainder, small, 2, ranges, points=6 if signed else 3, exact=False)


def cost_step(eqs: CharacteristicEquations) -> Step:
    """A user's cost: the forces as entered against differences of the cost itself in 50 digits."""
    hamiltonian, net = eqs.hamiltonian, eqs.hamiltonian.network
    expression = plain(hamiltonian.expression)
    symbols = sorted(expression.free_symbols, key=sp.default_sort_key)
    # Where each coordinate's force belongs; a force that is missing, or is none, is found as well.
    coordinates = {("d_D", (k,)): s for k, s in enumerate(net.y)}
    coordinates |= {("d_M", at): net.W[at] for at in map(tuple, np.argwhere(hamiltonian.moving).tolist())}
    coordinates = {place: s for place, s in coordinates.items() if s in symbols}
    back = {kernel: s for s, kernel in hamiltonian._rename.items()}
    entered = {place: -plain(e).xreplace(back) for place, e in entry_sums(eqs.equations, sizes_of(*eqs.sizes)).items()}
    forces = [
        (entered.get(place, sp.S.Zero), _slope(expression, symbols, along) if along is not None else sp.S.Zero)
        for place in dict.fromkeys([*coordinates, *entered])
        for along in [coordinates.get(place)]
    ]
    ranges = {s for force, _ in forces for s in force.free_symbols} | set(symbols)
    return Step(
        "Cost of the user",
        "The forces of the cost are entered at single entries of the costates and momenta.",
        f"E = {latex(hamiltonian.expression)}",
        r"\dot p \mathrel{+}= -\frac{\partial E}{\partial q}",
        NumericAgreement(
            forces, {s: (0.2, 1.4) for s in ranges}, tolerance=1e-20, by="numerical differentiation of E"
        ),
    )


def _slope(expression: sp.Expr, symbols: list[sp.Symbol], along: sp.Symbol) -> Callable[[Any], Any]:
    """The derivative along one symbol by mpmath's differences, as a function of the point."""
    function = sp.lambdify(symbols, expression, "mpmath")

    def slope(point: Any) -> Any:
        return mpmath.diff(lambda v: function(*(v if s == along else point[s] for s in symbols)), point[along])

    return slope


def plain(expression: sp.Expr) -> sp.Expr:
    """Our own elementary functions in terms of functions that every evaluator knows."""
    from qnnsym.equations.functions import logistic, relu, softplus, step

    return (
        expression.replace(logistic, lambda u: 1 / (1 + sp.exp(-u)))
        .replace(softplus, lambda u: sp.log(1 + sp.exp(u)))
        .replace(relu, lambda u: sp.Max(u, 0))
        .replace(step, lambda u: sp.Heaviside(u, 0))
    )


def sizes_of(neurons: int, inputs: int) -> dict:
    return {SIZE: neurons, INPUTS: inputs}


def _part(equations: EquationSet, part: int, neurons: int, inputs: int) -> slice:
    sizes = [int(a.size.subs(sizes_of(neurons, inputs))) for a in equations.outputs]
    start = sum(sizes[:part])
    return slice(start, start + sizes[part])


def mask_numbers(neurons: int, inputs: int) -> dict:
    """Zeros and ones for masks: a mask is its own square, which a Symbol does not know."""
    found = {}
    for name in ("S", "G"):
        for array in (W, M):
            for (k, j), _ in array_entries(array, sizes_of(neurons, inputs)):
                found[sp.Symbol(f"{name}_{k}_{j}", real=True)] = sp.Integer((k + j + (name == "S")) % 2 or j % 3 == 0)
    return found
