"""The epoch scheme: a forward sweep of the activities, a backward sweep of the costates, and a step of the weights.

    (1) y' = H_Delta on [nT, (n+1)T] with the weights of the epoch      (3) M(nT) = 0, M' = -H_W
    (2) Delta' = -H_y backwards, Delta((n+1)T) = 0                      (4) DeltaW(nT) = 0, DeltaW' = M/omega
    (5) parametric weights: w_{n+1} = w_n + DeltaW(T);  dynamical: w_n(tau) = w_{n-1}(tau) + DeltaW_n(tau)

so that M((n+1)T) = -dC/dw with C the integral of E over the epoch. Several patterns are several copies of y and Delta
that share W and M; the part of E that knows neither activities nor inputs (the decay of the weights) counts once.

Source: U. Ramacher, Neural Networks 6 (1993) 547; F. Pineda, Phys. Rev. Lett. 59 (1987) 2229; L. Almeida (1987) for the
limit of fast relaxation.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from qnnsym.equations.indexed import EquationSet
from qnnsym.errors import InputError
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.network import Network

STARTS = ("relaxed", "reset", "continue")
WEIGHTS = ("parametric", "dynamical")
# Stands before what counts once for all patterns: 1 in the first of them, 0 in the others.
SHARE = sp.Symbol("share", real=True)


def sweep_sets(eqs: CharacteristicEquations) -> dict[str, EquationSet]:
    """The equations of the forward sweep (y') and of the backward sweep (Delta', M'), taken from the derived ones.

    Arguments:
        eqs: characteristic equations; the weights of an epoch are known functions of time in them, so that the
            canonical equations with the delayed weights put in for W are those of every reading.

    Returns:
        {"forward", "backward"}: equation sets on the states (y, W) and (y, Delta, W).
    """
    general = eqs.equations
    activity, costate, _, momenta = general.equations
    y, d, w, _, *others = general.arrays
    first, second, _, fourth = general.outputs
    forward = general.changed(arrays=(y, w, *others), outputs=(first,), equations=(activity,), entries=())
    backward = general.changed(arrays=(y, d, w, *others), outputs=(second, fourth), equations=(costate, momenta))
    return {"forward": forward, "backward": backward}


def split_cost(net: Network, expression: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """(what every pattern has, what counts once) of a cost: terms with and without activities or inputs."""
    once, each = sp.expand(expression).as_independent(*net.y, *net.x, as_Add=True)
    return each, once


def shared(hamiltonian: NeuralHamiltonian) -> NeuralHamiltonian:
    """The same Hamiltonian for one of several patterns: what counts once has a parameter before it."""
    if isinstance(hamiltonian.cost, QuadraticCost) or hamiltonian.expression == 0:
        return hamiltonian
    each, once = split_cost(hamiltonian.network, hamiltonian.expression)
    if once == 0:
        return hamiltonian
    if any(s.name == SHARE.name for s in hamiltonian.expression.free_symbols):
        raise InputError(f"The cost has a parameter called {SHARE}, a name that learning uses itself; rename it.")
    changed = hamiltonian.changed(cost=each + SHARE * once)
    changed.set_value(SHARE.name, 1.0)
    return changed


def train(
    net: Any,
    data: Any,
    epochs: int = 500,
    start: str = "relaxed",
    weights: str = "parametric",
    weights0: Any = None,
    y0: Any = None,
    relaxation: Any = None,
    inertia: Any = None,
    duration: Any = None,
    cost: Any = None,
    **options: Any,
):
    """Learn by the epoch scheme; the kernels of both sweeps are generated from the derived equations.

    Arguments:
        net: Network, or a NeuralHamiltonian, which brings relaxation, inertia and cost.
        data: (inputs, targets), arrays (patterns, l) and (patterns, N), or functions of t giving these; one pattern may
            leave its axis out. targets None where the cost has them or needs none; inputs None where there are none.
        epochs: number of epochs.
        start: activity at an epoch's start: "relaxed" (at rest with the epoch's first weights), "reset" (y0), or
            "continue" (where the last epoch ended).
        weights: "parametric" (constant within an epoch) or "dynamical" (functions of the time in it).
        weights0: array (N, l + 1 + N); None draws normal weights of width 1/sqrt(columns) from the seed 0.
        y0: (N,) or (patterns, N); None is zero.
        relaxation, inertia: lambda > 0 and omega > 0; inertia oo learns nothing.
        duration: T > 0, an epoch's length.
        cost: QuadraticCost or SymPy expression in net.t, .x, .y and .W; None is QuadraticCost(), all neurons alike.
        options: dynamical (mask of the weights that learn), rtol (of the sweeps; sets the number of steps), steps (an
            integer instead), method ("dop853" or "rk4", in steps of equal length), resume (a Training or the path of a
            saved one, whose last weights are gone on from), progress, modes (Legendre modes of dynamical weights),
            backend ("auto", "compiled", "batched").

    Returns:
        Training.

    Raises:
        InputError: for bad arguments, targets given twice, and learning that diverges, with the bound of stability.
        SolverError: where the activities do not come to rest.
    """
    from qnnsym.neural.numerics import learning as numerics_learning
    from qnnsym.neural.numerics import refuse_unknown

    refuse_unknown(options, numerics_learning.OPTIONS, "train")
    return numerics_learning.train(
        net, data, epochs, start, weights, weights0, y0, relaxation, inertia, duration, cost, **options
    )
