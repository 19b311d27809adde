"""The second route of every neural derivation: H written out neuron by neuron, and SymPy's own derivatives.

Nothing here uses index sets, stacks or deltas: plain loops over scalar Symbols at a small size.
"""

from __future__ import annotations

import sympy as sp

from qnnsym.equations.unroll import entry_symbol as entry
from qnnsym.neural.hamiltonian import NeuralHamiltonian
from qnnsym.neural.network import ARGUMENT


def written_out(
    hamiltonian: NeuralHamiltonian, neurons: int, inputs: int, sign: int = 1, own_cost: bool = False, lags: int = 0
) -> sp.Expr:
    """H for a given size as an expression in scalar Symbols.

    Arguments:
        hamiltonian: whose activations, mask and cost are taken; its own size is not used.
        neurons, inputs: the size.
        sign: of the kinetic term.
        own_cost: with a user's own cost, which belongs to the network's own size.
        lags: number of terms M(t - v T)^2; weights and momenta are then W_v_k_j and M_v_k_j, v their lag. 0: no shifts.
    """
    net, rename = hamiltonian.network, hamiltonian._rename
    lam, omega, mu = hamiltonian.relaxation, hamiltonian.inertia, hamiltonian.decay
    z = [entry("x", (a,)) for a in range(inputs)] + [sp.S.One] + [entry("y", (k,)) for k in range(neurons)]
    now = (0,) if lags else ()
    total = hamiltonian.expression.xreplace(rename) if own_cost else sp.S.Zero
    if lags:
        shifted = [(k, j) for k in range(neurons) for j in range(len(z))]
        total = total.xreplace({entry("W", at): entry("W", (0, *at)) for at in shifted})
    for k in range(neurons):
        u = sp.S.Zero
        for j, zj in enumerate(z):
            exists = entry("S", (k, j)) if net.mask is not None else 1
            moves = entry("G", (k, j)) if hamiltonian.dynamical is not None else 1
            weight, seen = entry("W", (*now, k, j)), entry("W", (1, k, j) if lags else (k, j))
            momenta = [entry("M", (v, k, j)) for v in range(lags)] or [entry("M", (k, j))]
            u += exists * seen * zj
            total += sum(sign * exists * moves * momentum**2 / (2 * omega) for momentum in momenta)
            if mu is not None:
                total += mu * exists * weight**2 / 2
        functions = [f.xreplace(rename).subs(ARGUMENT, u) for f in net.activations]
        drive = functions[0] if len(functions) == 1 else sum(entry(f"f{n}", (k,)) * f for n, f in enumerate(functions))
        total += entry("D", (k,)) * (drive - entry("y", (k,))) / lam
        if mu is not None:
            total += entry("c", (k,)) * (entry("y", (k,)) - entry("d", (k,))) ** 2 / 2
    return total


def hamilton_rates(
    hamiltonian: NeuralHamiltonian, neurons: int, inputs: int, sign: int = 1, own_cost: bool = False
) -> list[sp.Expr]:
    """Hamilton's equations of the written-out H by SymPy's derivative, in the order of the flat state."""
    h = written_out(hamiltonian, neurons, inputs, sign, own_cost)
    columns = inputs + 1 + neurons
    rows = [(k,) for k in range(neurons)]
    entries = [(k, j) for k in range(neurons) for j in range(columns)]
    # Static weights have no momentum; nor have missing ones, which only a user's own cost could act on.
    moves = ["G"] if hamiltonian.dynamical is not None else []
    moves += ["S"] if own_cost and hamiltonian.network.mask is not None else []
    return [
        *(sp.diff(h, entry("D", at)) for at in rows),
        *(-sp.diff(h, entry("y", at)) for at in rows),
        *(sp.diff(h, entry("M", at)) for at in entries),
        *(-sp.diff(h, entry("W", at)) * sp.Mul(*(entry(n, at) for n in moves)) for at in entries),
    ]
