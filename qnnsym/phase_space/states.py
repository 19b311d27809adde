"""States by their Wigner functions: Gaussians, cats, mixtures, thermal and Fock states, with iint W = 1.

Widths follow one convention: |psi|^2 ~ exp(-x^2/a^2), momentum smearing exp(-p0^2/c^2), hence
W ~ exp(-p^2/w^2) with w^2 = c^2 + hbar^2/a^2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from qnnsym.equations.numbers import exact_decimals, exact_number
from qnnsym.errors import InputError
from qnnsym.phase_space.space import PhaseSpace

Component = tuple[Any, Any, Any, Any]


class State(ABC):
    """What every state offers; parameters may be expressions in `space.hbar` and in declared parameters."""

    @abstractmethod
    def wigner(self, space: PhaseSpace) -> sp.Expr:
        """The Wigner function as an expression in the variables of `space`, with iint W = 1."""

    @abstractmethod
    def components(self, space: PhaseSpace) -> list[tuple[tuple[sp.Expr, ...], ...]]:
        """Gaussian-like pieces: centres x, widths x, centres p, widths p, each over degrees of freedom."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_text(self)})"

    def symbol(self, space: PhaseSpace) -> sp.Expr:
        """The Weyl symbol of rho, h^n W with h = 2 pi hbar; a state learns its space when asked."""
        return (2 * sp.pi * space.hbar) ** space.dimension * self.wigner(space)

    def extent(self, space: PhaseSpace) -> list[Component]:
        """Where the state lives, for proposing grids.

        Returns:
            (centre_x, width_x, centre_p, width_p) of each component, |W| ~ exp(-(x-centre)^2/width^2):
            expressions for one degree of freedom, tuples of expressions for several.
        """
        pieces = self.components(space)
        if space.dimension == 1:
            return [(x0[0], a[0], p0[0], w[0]) for x0, a, p0, w in pieces]
        return [(x0, a, p0, w) for x0, a, p0, w in pieces]


class GaussianState(State):
    """A Gaussian packet, pure for c=None and smeared in momentum otherwise.

    Arguments:
        a: width in x, |psi|^2 ~ exp(-(x-x0)^2/a^2).
        x0, p0: centre.
        c: width of the momentum smearing exp(-p0^2/c^2), or None.
        Each a number, an expression, or a tuple over degrees of freedom.

    Raises:
        InputError: for widths that are not positive.

    Source: W. B. Case, Am. J. Phys. 76, 937 (2008).
    """

    def __init__(self, a: Any, x0: Any = 0, p0: Any = 0, c: Any = None):
        self.a = _values(a, "The width a", positive=True)
        self.x0 = _values(x0, "The centre x0")
        self.p0 = _values(p0, "The centre p0")
        self.c = None if c is None else _values(c, "The smearing width c", nonnegative=True)

    def _widths(self, space: PhaseSpace) -> tuple[list[sp.Expr], list[sp.Expr]]:
        a = _spread(self.a, space, "a")
        c = [sp.Integer(0)] * space.dimension if self.c is None else _spread(self.c, space, "c")
        return a, [_momentum_width(ai, ci, space.hbar) for ai, ci in zip(a, c, strict=True)]

    def components(self, space: PhaseSpace) -> list[tuple[tuple[sp.Expr, ...], ...]]:
        a, w = self._widths(space)
        return [
            (tuple(_spread(self.x0, space, "x0")), tuple(a), tuple(_spread(self.p0, space, "p0")), tuple(w))
        ]

    def wigner(self, space: PhaseSpace) -> sp.Expr:
        return _gaussian(space, *self.components(space)[0])


class CoherentState(GaussianState):
    """A coherent state of the oscillator: a Gaussian of width a = sqrt(hbar/(mass omega)).

    Arguments:
        x0, p0: centre.
        mass, omega: the oscillator whose ground state is displaced (positive).
    """

    squeezing: sp.Expr = sp.Integer(0)

    def __init__(self, x0: Any = 0, p0: Any = 0, mass: Any = 1, omega: Any = 1):
        self.mass = _values(mass, "The mass", positive=True)
        self.omega = _values(omega, "The frequency omega", positive=True)
        self.x0 = _values(x0, "The centre x0")
        self.p0 = _values(p0, "The centre p0")
        self.c = None

    def _widths(self, space: PhaseSpace) -> tuple[list[sp.Expr], list[sp.Expr]]:
        mass, omega = _spread(self.mass, space, "mass"), _spread(self.omega, space, "omega")
        (r,) = _spread((self.squeezing,), space, "r")[:1]
        a = [
            sp.sqrt(space.hbar / (m * o)) * sp.exp(-r) for m, o in zip(mass, omega, strict=True)
        ]
        return a, [space.hbar / ai for ai in a]


class SqueezedState(CoherentState):
    """A squeezed state: width a = exp(-r) sqrt(hbar/(mass omega)), narrower in x for r > 0.

    Arguments:
        r: squeezing parameter (real).
        x0, p0, mass, omega: as for CoherentState.
    """

    def __init__(self, r: Any, x0: Any = 0, p0: Any = 0, mass: Any = 1, omega: Any = 1):
        super().__init__(x0, p0, mass, omega)
        (self.squeezing,) = _values(r, "The squeezing r")


class CatMixture(State):
    """Half and half of two Gaussians centred at x0 + b and x0 - b, without coherence between them.

    Arguments:
        a, b, x0: width, half the distance of the components, their middle.
        c: width of the momentum smearing, or None.

    Raises:
        InputError: for widths that are not positive.

    Source: W. B. Case, Am. J. Phys. 76, 937 (2008).
    """

    def __init__(self, a: Any, b: Any, x0: Any = 0, c: Any = None):
        self.a = _values(a, "The width a", positive=True)
        self.b = _values(b, "The displacement b")
        self.x0 = _values(x0, "The centre x0")
        self.c = None if c is None else _values(c, "The smearing width c", nonnegative=True)

    def components(self, space: PhaseSpace) -> list[tuple[tuple[sp.Expr, ...], ...]]:
        a, b, x0 = (_spread(v, space, n) for v, n in ((self.a, "a"), (self.b, "b"), (self.x0, "x0")))
        pieces = []
        for sign in (1, -1):
            centre = tuple(xi + sign * bi for xi, bi in zip(x0, b, strict=True))
            pieces += GaussianState(tuple(a), centre, 0, self.c).components(space)
        return pieces

    def wigner(self, space: PhaseSpace) -> sp.Expr:
        return sp.Add(*(_gaussian(space, *piece) for piece in self.components(space))) / 2


class CatState(CatMixture):
    """The normalised superposition of two Gaussians centred at x0 + b and x0 - b.

    Arguments:
        a, b, x0: width, half the distance of the components, their middle.
        c: width of the momentum smearing W = int W_0(x, p - p0) P(p0) dp0 with P ~ exp(-p0^2/c^2), or None.

    The smeared fringe follows from that integral: with w^2 = c^2 + hbar^2/a^2 its wave number falls from
        2b/hbar to
    2 b hbar/(a w)^2 and its amplitude by exp(-b^2 c^2/(a w)^2), so that it survives hbar -> 0 with amplitude
    exp(-b^2/a^2).

    Source: W. B. Case, Am. J. Phys. 76, 937 (2008); the smeared form derived from the integral.
    """

    def wigner(self, space: PhaseSpace) -> sp.Expr:
        a, b, x0 = (_spread(v, space, n) for v, n in ((self.a, "a"), (self.b, "b"), (self.x0, "x0")))
        smearing = [sp.Integer(0)] * space.dimension if self.c is None else _spread(self.c, space, "c")
        middle = GaussianState(tuple(a), tuple(x0), 0, self.c)
        _, w = middle._widths(space)
        overlap = sp.exp(-sp.Add(*(bi**2 / ai**2 for ai, bi in zip(a, b, strict=True))))
        quantum = list(zip(a, b, smearing, w, space.p, strict=True))
        phase = sp.Add(
            *(
                2 * bi * space.hbar * p / (ai**2 * wi**2) if ci != 0 else 2 * bi * p / space.hbar
                for ai, bi, ci, wi, p in quantum
            )
        )
        damping = sp.exp(-sp.Add(*(bi**2 * ci**2 / (ai**2 * wi**2) for ai, bi, ci, wi, _ in quantum)))
        lumps = sp.Add(*(_gaussian(space, *piece) for piece in self.components(space)))
        fringe = 2 * damping * sp.cos(phase) * middle.wigner(space)
        return (lumps + fringe) / (2 * (1 + overlap))


class ThermalState(State):
    """The thermal state of a harmonic oscillator, exp(-beta H)/Z.

    Arguments:
        beta: inverse temperature 1/(k_B T), in inverse units of energy (positive).
        x0, p0: centre.
        mass, omega: the oscillator (positive).
    """

    def __init__(self, beta: Any, x0: Any = 0, p0: Any = 0, mass: Any = 1, omega: Any = 1):
        self.beta = _values(beta, "The inverse temperature beta", positive=True)
        self.x0 = _values(x0, "The centre x0")
        self.p0 = _values(p0, "The centre p0")
        self.mass = _values(mass, "The mass", positive=True)
        self.omega = _values(omega, "The frequency omega", positive=True)

    def components(self, space: PhaseSpace) -> list[tuple[tuple[sp.Expr, ...], ...]]:
        names = ("beta", "x0", "p0", "mass", "omega")
        rows = list(zip(*(_spread(getattr(self, n), space, n) for n in names), strict=True))
        heat = [sp.sqrt(sp.coth(beta * space.hbar * omega / 2)) for beta, _, _, _, omega in rows]
        return [
            (
                tuple(row[1] for row in rows),
                tuple(sp.sqrt(space.hbar / (row[3] * row[4])) * s for row, s in zip(rows, heat, strict=True)),
                tuple(row[2] for row in rows),
                tuple(sp.sqrt(space.hbar * row[3] * row[4]) * s for row, s in zip(rows, heat, strict=True)),
            )
        ]

    def wigner(self, space: PhaseSpace) -> sp.Expr:
        return _gaussian(space, *self.components(space)[0])


class FockState(State):
    """The n-th eigenstate of a harmonic oscillator (a product of them for several degrees of freedom).

    Arguments:
        n: non-negative integer, or a tuple of them.
        x0, p0: centre.
        mass, omega: the oscillator (positive).

    Source: W = (-1)^n/(pi hbar) exp(-2E/(hbar omega)) L_n(4E/(hbar omega)), E the oscillator's energy at (x,
    p); W. B. Case, Am. J. Phys. 76, 937 (2008).
    """

    def __init__(self, n: Any, x0: Any = 0, p0: Any = 0, mass: Any = 1, omega: Any = 1):
        self.n = _values(n, "The quantum number n")
        for number in self.n:
            if not (number.is_Integer and number.is_nonnegative):
                raise InputError(
                    f"The quantum number n is {number}; a Fock state needs a non-negative integer."
                )
        self.x0 = _values(x0, "The centre x0")
        self.p0 = _values(p0, "The centre p0")
        self.mass = _values(mass, "The mass", positive=True)
        self.omega = _values(omega, "The frequency omega", positive=True)

    def _rows(self, space: PhaseSpace) -> list[tuple[sp.Expr, ...]]:
        return list(
            zip(
                *(_spread(getattr(self, n), space, n) for n in ("n", "x0", "p0", "mass", "omega")),
                strict=True,
            )
        )

    def components(self, space: PhaseSpace) -> list[tuple[tuple[sp.Expr, ...], ...]]:
        rows = self._rows(space)
        # The turning point lies at sqrt(2n+1) oscillator lengths; the Gaussian of that width covers the tail
        # beyond it.
        return [
            (
                tuple(row[1] for row in rows),
                tuple(sp.sqrt((2 * n + 1) * space.hbar / (m * o)) for n, _, _, m, o in rows),
                tuple(row[2] for row in rows),
                tuple(sp.sqrt((2 * n + 1) * space.hbar * m * o) for n, _, _, m, o in rows),
            )
        ]

    def wigner(self, space: PhaseSpace) -> sp.Expr:
        factors = []
        for (n, x0, p0, m, o), x, p in zip(self._rows(space), space.x, space.p, strict=True):
            energy = (p - p0) ** 2 / (2 * m) + m * o**2 * (x - x0) ** 2 / 2
            ratio = sp.expand(energy / (space.hbar * o)) if x0 == 0 == p0 else energy / (space.hbar * o)
            factors.append((-1) ** n / (sp.pi * space.hbar) * sp.exp(-2 * ratio) * sp.laguerre(n, 4 * ratio))
        return sp.Mul(*factors)


class Mixture(State):
    """A statistical mixture: W is the weighted sum, because mixing is linear (superposing is not).

    Arguments:
        components: [(weight, state), ...] with weights >= 0 that sum to 1.

    Raises:
        InputError: for an empty mixture, a negative weight, or weights that do not sum to 1.
    """

    def __init__(self, components: Sequence[tuple[Any, State]]):
        pairs = list(components) if isinstance(components, Iterable) else []
        if not pairs or any(not (isinstance(pair, (tuple, list)) and len(pair) == 2) for pair in pairs):
            raise InputError(f"A mixture is a list of (weight, state) pairs; {components!r} was given.")
        for _, state in pairs:
            if not isinstance(state, State):
                raise InputError(
                    f"{state!r} in a mixture is not a state; give GaussianState(...) or another state."
                )
        weights = [_values(weight, "A weight", nonnegative=True)[0] for weight, _ in pairs]
        total = sp.simplify(sp.Add(*weights))
        if total != 1:
            # Decimal thirds and the like: rounding of the text, not a mistake.
            if not (total.is_number and abs(float(total) - 1) < 1e-12):
                raise InputError(
                    f"The weights of a mixture are {', '.join(map(str, weights))} and sum to {total}; "
                    "they have to sum to 1."
                )
            weights = [weight / total for weight in weights]
        self.weights = tuple(weights)
        self.states = tuple(state for _, state in pairs)

    def components(self, space: PhaseSpace) -> list[tuple[tuple[sp.Expr, ...], ...]]:
        return [piece for state in self.states for piece in state.components(space)]

    def wigner(self, space: PhaseSpace) -> sp.Expr:
        return sp.Add(*(w * state.wigner(space) for w, state in zip(self.weights, self.states, strict=True)))


def _momentum_width(a: sp.Expr, c: sp.Expr, hbar: sp.Expr) -> sp.Expr:
    return hbar / a if c == 0 else sp.sqrt(c**2 + hbar**2 / a**2)


def _gaussian(space: PhaseSpace, x0: Sequence, a: Sequence, p0: Sequence, w: Sequence) -> sp.Expr:
    """The normalised product Gaussian of the given centres and widths."""
    exponent = sp.Add(
        *(
            -((x - xi) ** 2) / ai**2 - (p - pi) ** 2 / wi**2
            for x, p, xi, ai, pi, wi in zip(space.x, space.p, x0, a, p0, w, strict=True)
        )
    )
    return sp.exp(exponent) / sp.Mul(*(sp.pi * ai * wi for ai, wi in zip(a, w, strict=True)))


def _values(value: Any, what: str, positive: bool = False, nonnegative: bool = False) -> tuple[sp.Expr, ...]:
    """One value per degree of freedom (a single one stands for all), exact and checked for sign."""
    entries = value if isinstance(value, (tuple, list)) else (value,)
    if not entries:
        raise InputError(
            f"{what} is empty; give a number, an expression, or one of them per degree of freedom."
        )
    exact = []
    for entry in entries:
        if isinstance(entry, sp.Expr) and not entry.is_number:
            if not entry.is_commutative:
                raise InputError(
                    f"{what} contains the operator {entry}; give a number or a commuting expression."
                )
            number = exact_decimals(entry)
        else:
            number = exact_number(entry, what)
        if positive and (number.is_nonpositive or number.is_real is False):
            raise InputError(f"{what} is {entry}; it has to be positive.")
        if nonnegative and (number.is_negative or number.is_real is False):
            raise InputError(f"{what} is {entry}; it has to be positive or zero.")
        exact.append(number)
    return tuple(exact)


def _spread(values: tuple[sp.Expr, ...], space: PhaseSpace, name: str) -> list[sp.Expr]:
    """One value per degree of freedom, in a space whose variables they must not hold."""
    for value in values:
        held = sorted({s.name for s in value.free_symbols} & {s.name for s in space.variables})
        if held:
            raise InputError(
                f"The parameter {name} = {value} of the state holds {', '.join(held)}, a variable of {space!r}; give a "
                "number, or an expression in hbar and declared parameters."
            )
    if len(values) == 1:
        return [values[0]] * space.dimension
    if len(values) != space.dimension:
        raise InputError(
            f"The state gives {len(values)} values of {name} and {space!r} has {space.dimension} degree(s) "
            f"of "
            "freedom; give one value, or one per degree of freedom."
        )
    return list(values)


def _text(state: Any) -> str:
    parts = []
    for name, value in vars(state).items():
        if value is not None and not name.startswith("_"):
            shown = value if isinstance(value, sp.Basic) else value[0] if len(value) == 1 else value
            parts.append(f"{name}={shown}")
    return ", ".join(parts)
