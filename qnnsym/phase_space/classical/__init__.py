"""The classical limit of the Moyal terms for a family of states: the exact powers of hbar, with their coefficients.

    T_s = (-1)^s (hbar/2)^(2s)/(2s+1)! U^(2s+1)(x) d_p^(2s+1) W

is compared with T_0 = U' d_p W in three measures, because they disagree: the L2 norm over phase space, the sup norm,
and the weak measure |iint A T_s|/|iint A T_0| against an observable A that does not depend on hbar. For a pure Gaussian
of fixed width the L2 and sup ratios do not go to zero at all, the weak one does as hbar^(2s).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import factorial
from typing import Any

import sympy as sp

from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.classical.measures import Factor, Packet, functional, norm_squared
from qnnsym.phase_space.classical.pieces import pieces
from qnnsym.phase_space.classical.scaling import DIGITS, NOTHING, Power, is_zero
from qnnsym.phase_space.classical.suprema import evaluated, supremum
from qnnsym.phase_space.equation import moyal_equation
from qnnsym.phase_space.space import PhaseSpace
from qnnsym.phase_space.states import State

MEASURES = ("l2", "sup", "weak")
PARTS = ("potential", "kinetic")
REGULAR, MARGINAL, SINGULAR, ZERO = "regular", "marginal", "singular", "identically zero"
Key = tuple[str, int]


@dataclass(frozen=True)
class ClassicalLimit:
    """Sizes of the Moyal terms relative to the classical one, ||T_s||/||T_0|| ~ coefficient * hbar**exponent.

    Attributes:
        exponent: {(measure, s): Rational, or "zero"}.
        coefficient: {(measure, s): expression without hbar}; 0 where the term is identically zero.
        verdict: {(measure, s): "regular" (exponent > 0), "marginal" (= 0), "singular" (< 0), "identically zero"}.
        numeric: the keys whose coefficient is a number with 30 digits for want of a closed form.
        vanishing: the measures in which the classical term T_0 is itself zero, so that nothing can be compared.
        hamiltonian, family, space, observable, terms, measures, part: what was asked.
    """

    exponent: Mapping[Key, Any]
    coefficient: Mapping[Key, sp.Expr]
    verdict: Mapping[Key, str]
    numeric: frozenset[Key]
    hamiltonian: sp.Expr
    family: State
    space: PhaseSpace
    observable: sp.Expr
    terms: tuple[int, ...]
    measures: tuple[str, ...]
    part: str
    vanishing: frozenset[str] = frozenset()
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def samples(self) -> Any:
        """||T_s||/||T_0|| at small hbar, by numerical integration and maximisation in mpmath."""
        from qnnsym.phase_space.classical.confirmation import sampled

        return sampled(self)

    @property
    def fit(self) -> dict[Key, float]:
        """{(measure, s): slope of log ||T_s||/||T_0|| against log hbar at the smallest hbar}; NaN for zero terms."""
        return self.samples.slopes

    def along_flow(self, times: Any, hbar: float) -> dict[Key, Any]:
        """{(measure, s): ||T_s||/||T_0|| at the times} along the classical flow, at one hbar; see `dynamics`."""
        from qnnsym.phase_space.classical.dynamics import along_flow

        return along_flow(self, times, hbar)

    def __str__(self) -> str:
        rows = [("measure", "s", "exponent", "coefficient", "verdict")]
        for measure in self.measures:
            for s in self.terms:
                key = (measure, s)
                c = self.coefficient[key]
                shown = f"{sp.N(c, 12)}" if key in self.numeric else str(c)
                rows.append((measure, str(s), str(self.exponent[key]), shown, self.verdict[key]))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        if self.vanishing:
            measures = ", ".join(m for m in self.measures if m in self.vanishing)
            lines.append(f"T_0 is zero as well ({measures}): there is nothing that these terms could be compared with.")
        return "\n".join(lines)


def classical_limit(
    H: Any,
    family: Any,
    space: PhaseSpace,
    terms: Sequence[int] = (1, 2, 3),
    measures: Sequence[str] = MEASURES,
    observable: Any = None,
    part: str = "potential",
) -> ClassicalLimit:
    """The exact power of hbar, with its coefficient, of every Moyal term relative to the classical one.

    Arguments:
        H: Weyl symbol T(p) + U(x), one degree of freedom, without hbar and time.
        family: state whose widths, centres and weights are constants times rational powers of space.hbar.
        space: phase space; declared parameters stay symbols where a closed form exists.
        terms: the s of T_s, positive.
        measures: of "l2", "sup", "weak".
        observable: A of the weak measure; exp(-(x-3/10)^2 - (p-1/5)^2) unless given.
        part: "potential", or "kinetic" for the terms K_s = -(-1)^s (hbar/2)^(2s)/(2s+1)! T^(2s+1)(p) d_x^(2s+1) W
            relative to K_0 = -T' d_x W, which exist where T is not quadratic.

    Returns:
        ClassicalLimit; its `fit` is computed when it is asked for.

    Raises:
        InputError: for what cannot be used, saying what to give instead.

    Source: W. B. Case, Am. J. Phys. 76, 937 (2008); J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949).
    """
    terms, measures = _checked(terms, measures, part)
    function, hamiltonian = _function(H, space, part)
    (x,), (p,), hbar = space.x, space.p, space.hbar
    q, r = (p, x) if part == "kinetic" else (x, p)
    if not isinstance(family, State):
        pieces(family, space)  # says what a family is
    packets = [Packet.of(piece, part == "kinetic") for piece in pieces(family, space)]
    A = _observable(observable, space)
    derivatives = {s: sp.diff(function, q, 2 * s + 1) for s in (0, *terms)}
    for s, derivative in derivatives.items():
        if derivative.has(sp.DiracDelta):
            raise InputError(
                f"The derivative of order {2 * s + 1} of {function} in {q} is a distribution ({derivative}): the "
                "function has a kink or a jump, and its Moyal terms have no size. Smooth it, as sqrt(x**2 + b**2) for "
                "Abs(x)."
            )
    sizes: dict[Key, Power] = {}
    for s in (0, *terms):
        n = 2 * s + 1
        derivative = derivatives[s]
        prefactor = sp.Rational(1, 4**s * factorial(n))
        for measure in measures:
            if is_identically_zero(derivative, q):
                sizes[measure, s] = NOTHING
                continue
            if measure == "l2":
                square = norm_squared(packets, Factor(derivative, q), n, hbar)
                found = Power(sp.sqrt(square.coefficient), square.exponent / 2)
            elif measure == "sup":
                found = supremum(packets, Factor(derivative, q), n, hbar)
            else:
                found = functional(packets, derivative * sp.diff(A, r, n), q, r, hbar)
                found = Power(sp.Abs(found.coefficient), found.exponent)
            sizes[measure, s] = Power(prefactor * found.coefficient, found.exponent + 2 * s)
    return _table(sizes, hamiltonian, family, space, A, terms, measures, part)


def is_identically_zero(derivative: sp.Expr, variable: sp.Symbol) -> bool:
    """Whether a derivative of H vanishes everywhere."""
    return derivative == 0 or (not derivative.has(variable) and is_zero(derivative)) or sp.expand(derivative) == 0


def _checked(terms: Any, measures: Any, part: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    terms = tuple(terms) if isinstance(terms, (tuple, list, range)) else (terms,)
    wrong = [s for s in terms if isinstance(s, bool) or not isinstance(s, int) or s < 1]
    if wrong or not terms:
        raise InputError(f"terms={terms!r}: give the s of the terms T_s that are compared with T_0, as 1, 2, 3, ...")
    known = f"give one or several of {', '.join(MEASURES)}"
    if not isinstance(measures, Iterable) or (not isinstance(measures, str) and not tuple(measures)):
        raise InputError(f"measures={measures!r} names no measure; {known}.")
    measures = (measures,) if isinstance(measures, str) else tuple(measures)
    unknown = [m for m in measures if m not in MEASURES]
    if unknown:
        raise InputError(f"{unknown[0]!r} is no measure; {known}.")
    if part not in PARTS:
        raise InputError(f"part={part!r} is not known; give {' or '.join(map(repr, PARTS))}.")
    return terms, measures


def _function(H: Any, space: Any, part: str) -> tuple[sp.Expr, sp.Expr]:
    """(U(x) or T(p), H)."""
    if not isinstance(space, PhaseSpace):
        raise InputError(f'space={space!r} is no phase space; give PhaseSpace("x", "p").')
    if space.dimension != 1:
        raise InputError(
            f"{space!r} has {space.dimension} degrees of freedom; the exponents are derived for one. "
            "moyal_equation gives the table of terms for more."
        )
    equation = moyal_equation(H, space, 0)
    if not equation.separable:
        raise InputError(
            f"H = {equation.hamiltonian} mixes x and p; the terms T_s are those of H = T(p) + U(x). Separate H by a "
            "canonical transformation, or use moyal_equation for the table of terms."
        )
    if equation.hamiltonian.has(space.hbar) or equation.hamiltonian.has(space.t):
        raise InputError(
            f"H = {equation.hamiltonian} depends on hbar or time; the powers of hbar are those of a fixed H. Give H "
            "without them."
        )
    return (equation.kinetic if part == "kinetic" else equation.potential), equation.hamiltonian


def _observable(observable: Any, space: PhaseSpace) -> sp.Expr:
    (x,), (p,) = space.x, space.p
    if observable is None:
        return sp.exp(-((x - sp.Rational(3, 10)) ** 2) - (p - sp.Rational(1, 5)) ** 2)
    A = exact_decimals(sp.sympify(observable))
    if not isinstance(A, sp.Expr) or A.has(space.hbar) or not (A.has(x) or A.has(p)):
        raise InputError(f"observable={observable!r}: give a function of {x} and {p} without hbar.")
    return A


def _table(
    sizes: dict[Key, Power], H: sp.Expr, family: State, space: PhaseSpace, A: sp.Expr,
    terms: tuple[int, ...], measures: tuple[str, ...], part: str,
) -> ClassicalLimit:  # fmt: skip
    exponent: dict[Key, Any] = {}
    coefficient: dict[Key, sp.Expr] = {}
    verdict: dict[Key, str] = {}
    numeric = set()
    for measure in measures:
        classical = sizes[measure, 0]
        for s in terms:
            key = (measure, s)
            found = sizes[key]
            if found.coefficient == 0:
                exponent[key], coefficient[key], verdict[key] = "zero", sp.Integer(0), ZERO
                continue
            if classical.coefficient == 0:
                raise InputError(
                    f"The classical term vanishes in the measure {measure!r} for {family!r} and the observable {A}: "
                    "nothing can be compared with it. Give another state or observable=... ."
                )
            power = sp.Rational(found.exponent - classical.exponent)
            ratio, exact = evaluated(found.coefficient / classical.coefficient)
            exact = exact and not ratio.has(sp.Float)
            exponent[key] = power
            coefficient[key] = sp.N(ratio, DIGITS) if ratio.is_number and not exact else simplified(ratio)
            verdict[key] = REGULAR if power > 0 else MARGINAL if power == 0 else SINGULAR
            if not exact:
                numeric.add(key)
    vanishing = frozenset(m for m in measures if sizes[m, 0].coefficient == 0)
    return ClassicalLimit(
        exponent, coefficient, verdict, frozenset(numeric), H, family, space, A, terms, measures, part, vanishing
    )  # fmt: skip


def simplified(ratio: sp.Expr) -> sp.Expr:
    """A shorter form of a coefficient, without the searches of sympy.simplify."""
    if ratio.has(sp.CRootOf):
        return ratio
    inside = [power for power in ratio.atoms(sp.Pow) if power.exp.is_Rational and not power.exp.is_Integer]
    short = ratio.xreplace({power: sp.factor(sp.expand(power.base)) ** power.exp for power in inside})
    short = sp.powsimp(sp.factor_terms(sp.together(short)))
    return sp.radsimp(sp.sqrtdenest(short)) if not short.free_symbols and not short.has(sp.exp, sp.sin) else short
