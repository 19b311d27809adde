"""Lyapunov exponents of a network's activities, from the tangent equations derived with them.

Source: H. Sompolinsky, A. Crisanti, H. J. Sommers, Phys. Rev. Lett. 61 (1988) 259: random tanh networks with weights of
variance g^2/N are chaotic for g > 1 as N grows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from qnnsym.equations.calculus import tangent_set
from qnnsym.equations.indexed import EquationSet
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.hamiltonian import W, Y
from qnnsym.neural.network import Network


def activity_set(eqs: CharacteristicEquations) -> EquationSet:
    """Rates of (y, direction) with fixed weights: the activity's equation, W a parameter of it, and its tangent."""
    general = eqs.equations
    others = [a for a in general.arrays if a.role != "state"]
    # Roles are not part of an entry, so that the equation's own entries of W are those of the parameter.
    fixed = replace(W, role="parameter")
    only = general.changed(
        arrays=(Y, *others, fixed), outputs=general.outputs[:1], equations=general.equations[:1], entries=()
    )
    return tangent_set(only)


def random_network(neurons: int, gain: float, seed: int = 0) -> tuple[Network, np.ndarray]:
    """(network, weights): a recurrent tanh network without bias, W_kj ~ N(0, gain^2/N)."""
    net = Network(neurons=neurons, activation="tanh")
    weights = np.zeros((neurons, net.columns))
    weights[:, 1:] = np.random.default_rng(seed).normal(size=(neurons, neurons)) * gain / np.sqrt(neurons)
    return net, weights


def lyapunov_exponents(net: Any, weights: Any, number: int = 10, **options: Any):
    """The largest Lyapunov exponents of y' = F(y) at fixed weights.

    Arguments:
        net: Network, or a NeuralHamiltonian, whose relaxation time is taken.
        weights: (N, l + 1 + N).
        number: of exponents; at most N are there.
        options: inputs ((l,) constant), relaxation (1), duration (200 relaxation times), transient (100 of them), step
            (0.05), every (steps between orthonormalisations, 4), y0 (random, seeded), seed, progress; times in units of
            the relaxation time.

    Returns:
        Exponents: exponents and uncertainty, largest first, in units of 1/time; it is read like an array.

    Raises:
        InputError: for arrays of a wrong shape and numbers that are not positive.
    """
    from qnnsym.neural.numerics import lyapunov as numerics_lyapunov
    from qnnsym.neural.numerics import refuse_unknown

    refuse_unknown(options, numerics_lyapunov.OPTIONS, "lyapunov_exponents")
    return numerics_lyapunov.exponents(net, weights, number, **options)
