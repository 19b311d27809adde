"""The four ways a step is proved: symbolic zero, 50-digit agreement, matrices, order of vanishing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from qnnsym.derivation.step import Proof

DIGITS = 50
# A disagreement is looked at again with so many times the digits.
CANCELLING = 4
# Points are drawn from this seed: a proof that holds today holds tomorrow, on any machine.
SEED = 20240624


@dataclass(frozen=True)
class SymbolicZero:
    """Every expression is zero after expansion (and, failing that, cancellation of fractions).

    Arguments:
        expressions: SymPy expressions, each claimed to be identically zero.
    """

    expressions: Sequence[sp.Expr]

    def discharge(self) -> Proof:
        """Expand each expression and compare it with zero."""
        if not self.expressions:
            return _nothing("symbolic zero")
        for expression in self.expressions:
            rest = sp.expand(sp.sympify(expression))
            if rest != 0:
                rest = sp.expand(sp.cancel(sp.together(rest)))
            if rest != 0:
                return Proof(False, "symbolic zero", f"the remainder {sp.sstr(rest)[:200]}")
        count = len(self.expressions)
        return Proof(True, "symbolic zero", f"{count} expression{'s' if count != 1 else ''} expanded to 0")


@dataclass(frozen=True)
class NumericAgreement:
    """Both sides agree in 50-digit arithmetic at random points.

    Arguments:
        pairs: (left, right); each side a SymPy expression, or a callable of the point {symbol: mpf}.
        ranges: {symbol: (low, high)}; every free symbol of an expression needs one.
        points: number of random points.
        tolerance: relative agreement demanded (50 digits leave room for quadrature in a callable).
        by: how the right-hand side was obtained, for the printed proof.
    """

    pairs: Sequence[tuple[Any, Any]]
    ranges: Mapping[sp.Symbol, tuple[float, float]]
    points: int = 4
    tolerance: float = 1e-40
    by: str = ""

    def discharge(self) -> Proof:
        """Evaluate both sides of every pair at the points."""
        draw = random.Random(SEED)
        method = f"agreement in {DIGITS}-digit arithmetic" + (f" with {self.by}" if self.by else "")
        if not self.pairs or self.points < 1:
            return _nothing(method)
        symbols = sorted(self.ranges, key=str)
        evaluators = [(_evaluator(left, symbols), _evaluator(right, symbols)) for left, right in self.pairs]
        worst = mpmath.mpf(0)
        with mpmath.workdps(DIGITS + 10):
            for _ in range(self.points):
                point = {s: mpmath.mpf(repr(draw.uniform(*self.ranges[s]))) for s in symbols}
                for index, (left_side, right_side) in enumerate(evaluators):
                    gap = _gap(left_side(point), right_side(point))
                    if not gap <= self.tolerance:
                        # Powers of high degree cancel many digits; what is equal is equal with more of them.
                        with mpmath.workdps(CANCELLING * DIGITS):
                            gap = _gap(left_side(point), right_side(point))
                    if not gap <= self.tolerance:  # also catches NaN
                        at = ", ".join(f"{s}={mpmath.nstr(v, 6)}" for s, v in point.items())
                        return Proof(
                            False,
                            method,
                            f"a gap of {mpmath.nstr(gap, 3)} in pair {index + 1} at {at}",
                        )
                    worst = max(worst, gap)
        return Proof(
            True,
            method,
            f"{len(self.pairs)} formula{'s' if len(self.pairs) != 1 else ''} at {self.points} random points, "
            f"largest gap {mpmath.nstr(worst, 2)}",
        )


def _gap(left: Any, right: Any) -> Any:
    return abs(left - right) / max(1, abs(left), abs(right))


def _nothing(method: str) -> Proof:
    """An empty claim cannot fail, so it is no proof."""
    return Proof(False, method, "nothing to compare")


def _evaluator(side: Any, symbols: list[sp.Symbol]) -> Callable[[Mapping[sp.Symbol, Any]], Any]:
    if not isinstance(side, sp.Basic):
        return side
    if side.has(sp.nan, sp.zoo):
        return lambda point: mpmath.nan
    function = sp.lambdify(symbols, side, "mpmath")
    return lambda point: function(*(point[s] for s in symbols))


@dataclass(frozen=True)
class MatrixAgreement:
    """Two maps of operators agree on random finite matrices.

    Arguments:
        left, right: callables of (rng) -> arrays built from the same random draw.
        tolerance: largest entry of the difference relative to the largest entry.
    """

    left: Callable[[np.random.Generator], np.ndarray]
    right: Callable[[np.random.Generator], np.ndarray]
    tolerance: float = 1e-11
    draws: int = 3
    by: str = "random matrices"

    def discharge(self) -> Proof:
        """Compare both maps for each draw."""
        worst = 0.0
        for draw in range(self.draws):
            left = np.asarray(self.left(np.random.default_rng(SEED + draw)))
            right = np.asarray(self.right(np.random.default_rng(SEED + draw)))
            if left.shape != right.shape:
                return Proof(False, f"agreement on {self.by}", f"the shapes {left.shape} and {right.shape}")
            if not left.size:
                return _nothing(f"agreement on {self.by}")
            gap = float(np.max(np.abs(left - right)) / max(1e-300, float(np.max(np.abs(left)))))
            if not gap <= self.tolerance:
                return Proof(False, f"agreement on {self.by}", f"a relative gap of {gap:.2e} in draw {draw + 1}")
            worst = max(worst, gap)
        if self.draws < 1:
            return _nothing(f"agreement on {self.by}")
        return Proof(True, f"agreement on {self.by}", f"{self.draws} draws, largest relative gap {worst:.1e}")


@dataclass(frozen=True)
class VanishingOrder:
    """An expression vanishes with exactly the stated power of a small parameter.

    Arguments:
        expression: SymPy expression in `parameter` and the symbols of `ranges`.
        parameter: the small parameter.
        order: the power claimed; `exact=False` accepts a higher one too (a remainder bound).
        ranges: {symbol: (low, high)} of the other symbols.
    """

    expression: sp.Expr
    parameter: sp.Symbol
    order: int
    ranges: Mapping[sp.Symbol, tuple[float, float]] = field(default_factory=dict)
    points: int = 3
    exact: bool = True

    def discharge(self) -> Proof:
        """Measure the local power between parameter values 1e-8 and 1e-9 with enough digits."""
        draw = random.Random(SEED)
        method = f"order of vanishing in {self.parameter}"
        if self.points < 1:
            return _nothing(method)
        symbols = sorted(self.ranges, key=str)
        evaluate = _evaluator(sp.sympify(self.expression), [self.parameter, *symbols])
        powers: list[float] = []
        digits = DIGITS + 12 * (self.order + 2)
        # What is zero identically leaves a remainder of rounding, which has no power.
        rounding = mpmath.mpf(10) ** (15 - digits)
        with mpmath.workdps(digits):
            for _ in range(self.points):
                point = {s: mpmath.mpf(repr(draw.uniform(*self.ranges[s]))) for s in symbols}
                big, small = (abs(evaluate({**point, self.parameter: mpmath.mpf(10) ** -e})) for e in (8, 9))
                if not (mpmath.isfinite(big) and mpmath.isfinite(small)):
                    return Proof(False, method, f"the values {mpmath.nstr(big, 3)} and {mpmath.nstr(small, 3)}")
                big, small = (value if value > rounding else mpmath.mpf(0) for value in (big, small))
                if big == 0 and small == 0:
                    if self.exact:
                        return Proof(False, method, f"identically zero where the power {self.order} was claimed")
                    powers.append(float("inf"))
                    continue
                powers.append(float(mpmath.log10(big / small)) if big and small else float("inf" if big else "-inf"))
        low, high = min(powers), max(powers)
        holds = low > self.order - 0.01 and (not self.exact or high < self.order + 0.01)
        if low == float("inf"):
            found = "identically zero"
        else:
            least, most = f"{low:.4g}", f"{high:.4g}"
            found = f"the power {least}" if least == most else f"powers from {least} to {most}"
        return Proof(holds, method, f"{found} at {self.points} random points (claimed {self.order})")
