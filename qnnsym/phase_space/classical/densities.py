"""Density matrices <x1|rho|x2> of the states in mpmath, from their wave functions: no Wigner function is used.

They are what the exponents of the classical limit are confirmed with. In the position representation the fringes of a
cat are the two lumps beside the diagonal, smooth at every hbar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import CatMixture, CatState, FockState, GaussianState, Mixture, State, ThermalState

mp = mpmath.mp


class Spot(NamedTuple):
    """Where |<x1|rho|x2>| is: (x1+x2)/2 around `middle` and x1-x2 around `apart`, with the widths of exp(-u^2)."""

    middle: Any
    width: Any
    apart: Any
    length: Any
    quanta: int = 0  # nodes of a Fock state, which reach out to sqrt(2 n + 1) widths


@dataclass(frozen=True)
class Density:
    """A density matrix at one hbar.

    Attributes:
        element: <x1|rho|x2>.
        spots: where it is not negligible.
    """

    element: Callable[[Any, Any], Any]
    spots: tuple[Spot, ...]


def density(state: State, space: PhaseSpace, hbar: Any, values: Mapping[sp.Symbol, Any]) -> Density:
    """The density matrix of a state with numbers for everything; one degree of freedom.

    Arguments:
        hbar: mpf.
        values: {symbol: number} of the parameters.

    Raises:
        InputError: for symbols without numbers.

    Source: of the thermal state, F. G. Mehler, J. reine angew. Math. 66, 161 (1866).
    """

    def number(expression: Any) -> Any:
        return numerical(expression, {**values, space.hbar: hbar})

    if isinstance(state, Mixture):
        parts = [density(part, space, hbar, values) for part in state.states]
        weights = [number(weight) for weight in state.weights]
        return Density(
            lambda x1, x2: sum(w * part.element(x1, x2) for w, part in zip(weights, parts, strict=True)),
            tuple(spot for part in parts for spot in part.spots),
        )
    if isinstance(state, ThermalState):
        beta, x0, p0, m, o = (number(v[0]) for v in (state.beta, state.x0, state.p0, state.mass, state.omega))
        warm = mpmath.tanh(beta * hbar * o / 2)
        rate = m * o / hbar
        norm = mpmath.sqrt(rate * warm / mp.pi)

        def thermal(x1: Any, x2: Any) -> Any:
            s, d = x1 + x2 - 2 * x0, x1 - x2
            return norm * mpmath.exp(-rate / 4 * (s * s * warm + d * d / warm)) * _phase(p0, d, hbar)

        return Density(thermal, (Spot(x0, 1 / mpmath.sqrt(rate * warm), mp.zero, 2 * mpmath.sqrt(warm / rate)),))
    if isinstance(state, FockState):
        n, x0, p0, m, o = (number(v[0]) for v in (state.n, state.x0, state.p0, state.mass, state.omega))
        length = mpmath.sqrt(hbar / (m * o))

        def psi(x: Any) -> Any:
            return _oscillator(int(n), (x - x0) / length) / mpmath.sqrt(length)

        return Density(
            lambda x1, x2: psi(x1) * psi(x2) * _phase(p0, x1 - x2, hbar),
            (Spot(x0, length, mp.zero, 2 * length, int(n)),),
        )
    if isinstance(state, CatMixture):
        a, b, x0 = (number(v[0]) for v in (state.a, state.b, state.x0))
        centres, p0, coherent = (x0 + b, x0 - b), mp.zero, isinstance(state, CatState)
    elif isinstance(state, GaussianState):
        a = number(state._widths(space)[0][0])
        centres, p0, coherent = (number(state.x0[0]),), number(state.p0[0]), True
    else:
        raise InputError(f"{state!r} has no density matrix that is known here; use the states of qnnsym.phase_space.")
    c = mp.zero if state.c is None else number(state.c[0])
    if coherent:
        norm = len(centres) * (
            1 if len(centres) == 1 else 1 + mpmath.exp(-((centres[0] - centres[1]) ** 2) / (4 * a * a))
        )
        pairs = [(one, other) for one in centres for other in centres]
    else:
        norm, pairs = len(centres), [(centre, centre) for centre in centres]
    scale = 1 / (mpmath.sqrt(mp.pi) * a * norm)
    blur = c * c / (4 * hbar * hbar)

    def element(x1: Any, x2: Any) -> Any:
        d = x1 - x2
        if coherent:
            packets = sum(_packet(x1, q, a) for q in centres) * sum(_packet(x2, q, a) for q in centres)
        else:
            packets = sum(_packet(x1, q, a) * _packet(x2, q, a) for q in centres)
        return scale * packets * mpmath.exp(-blur * d * d) * _phase(p0, d, hbar)

    # Across the diagonal the smearing c shortens a lump at d and draws it towards the diagonal.
    tight = 1 / (4 * a * a) + blur
    return Density(
        element,
        tuple(
            Spot((one + other) / 2, a, (one - other) / (4 * a * a * tight), 1 / mpmath.sqrt(tight))
            for one, other in pairs
        ),
    )


def _packet(x: Any, centre: Any, a: Any) -> Any:
    return mpmath.exp(-((x - centre) ** 2) / (2 * a * a))


def _phase(p0: Any, d: Any, hbar: Any) -> Any:
    return mpmath.expj(p0 * d / hbar) if p0 else 1


def _oscillator(n: int, u: Any) -> Any:
    """The n-th eigenfunction in units of its length, by the normalised recurrence."""
    before, psi = mp.zero, mp.pi ** mpmath.mpf("-0.25") * mpmath.exp(-u * u / 2)
    for k in range(n):
        before, psi = (
            psi,
            mpmath.sqrt(mpmath.mpf(2) / (k + 1)) * u * psi - mpmath.sqrt(mpmath.mpf(k) / (k + 1)) * before,
        )
    return psi


def numerical(expression: Any, values: Mapping[sp.Symbol, Any]) -> Any:
    """An mpf of an expression.

    Raises:
        InputError: naming the symbols without numbers.
    """
    expression = sp.sympify(expression)
    unknown = sorted(expression.free_symbols - set(values), key=str)
    if unknown:
        raise InputError(
            f"{expression} has no number for {', '.join(map(str, unknown))}; declare them with "
            "space.parameters(name=number) or put numbers in."
        )
    symbols = sorted(expression.free_symbols, key=str)
    return +mpmath.mpmathify(
        sp.lambdify(symbols, expression, "mpmath")(*(mpmath.mpmathify(values[s]) for s in symbols))
    )
