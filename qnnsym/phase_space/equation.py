"""The Moyal evolution equation of a Hamiltonian: its table of terms, its exact split form, its LaTeX.

    dW/dt = {{H, W}} = sum over rows of hbar^power * coefficient(x, p) * d_x^dx d_p^dp W

The same table drives printing, the classical-limit analysis and generated kernels. For H = T(p) + U(x) all
orders sum to two factors, one multiplying in (k, p) and one in (x, theta); see `MoyalEquation.split`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import factorial, inf, prod
from typing import Any, NamedTuple

import sympy as sp

from qnnsym.equations.latex import latex
from qnnsym.equations.numbers import exact_decimals
from qnnsym.errors import InputError
from qnnsym.phase_space.integral_form import bracket_integral, series_verdict
from qnnsym.phase_space.moyal import as_function, check_order, moyal_bracket, multi_indices, real_form
from qnnsym.phase_space.ring import Element, NotClosed, Ring, element
from qnnsym.phase_space.space import PhaseSpace


class Term(NamedTuple):
    """hbar**hbar_power * coefficient * d_x^dx d_p^dp W, one order per degree of freedom."""

    hbar_power: int
    coefficient: sp.Expr
    dx: tuple[int, ...]
    dp: tuple[int, ...]


@dataclass(frozen=True)
class MoyalEquation:
    """dW/dt = {{H, W}}; made by `moyal_equation`.

    Attributes:
        hamiltonian: the Weyl symbol of H, with exact numbers.
        space: its phase space.
        order: the highest power of hbar in the table, or None for all of them.
        exact: whether the table holds every term of the equation (not so for a truncated or an infinite
            series).
        kinetic, potential: T(p) and U(x) where H = T + U, else None; constants and functions of time go with
            U.
    """

    hamiltonian: sp.Expr
    space: PhaseSpace
    order: int | None
    exact: bool
    kinetic: sp.Expr | None
    potential: sp.Expr | None
    _rows: tuple[Term, ...] | None

    @property
    def separable(self) -> bool:
        """Whether H = T(p) + U(x)."""
        return self.kinetic is not None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The rows, by power of hbar, x-derivatives before p-derivatives; power 0 is Liouville's equation.

        Raises:
            InputError: when every order was asked for and the series does not end.
        """
        if self._rows is None:
            raise InputError(
                f"The Moyal series of H = {self.hamiltonian} does not end, so its table has infinitely "
                f"many rows. {series_verdict(self.hamiltonian, self.space).sentence} Give "
                "order=2 (or another power of hbar) to moyal_equation, or take the integral form, .integral(W)"
                + (", or .split(), which sums all orders." if self.separable else ".")
            )
        return self._rows

    def rhs(self, W: sp.Expr) -> sp.Expr:
        """dW/dt for a given Wigner function.

        Arguments:
            W: SymPy expression in x and p (an undefined function W(x, p) is fine).

        Returns:
            The sum of the rows applied to W; where every order was asked for and the series does not end, the
            closed form of the bracket, or its integral form with a warning that says why.

        Raises:
            InputError: when neither exists, or W is no expression (of a state it is state.wigner(space)).
        """
        W = as_function(W)
        if self._rows is None:
            return moyal_bracket(self.hamiltonian, W, self.space)
        hbar, variables = self.space.hbar, self.space.variables
        factors = [(hbar**row.hbar_power * row.coefficient, row.dx + row.dp) for row in self._rows]
        try:
            ring = Ring.of([W, *(factor for factor, _ in factors)], self.space)
        except NotClosed:
            return sp.Add(
                *(
                    factor * sp.diff(W, *((v, n) for v, n in zip(variables, orders, strict=True) if n))
                    for factor, orders in factors
                )
            )
        function = ring.element(W)
        total = function * 0
        for factor, orders in factors:
            total = total + ring.element(factor) * function.derivative(orders)
        return total.as_expr()

    def integral(self, W: sp.Expr) -> sp.Expr:
        """dW/dt with its parts that have no finite series as integrals, for any hbar and whatever the series does.

        Arguments:
            W: SymPy expression in x and p (an undefined function W(x, p) is fine).

        Raises:
            InputError: where H has terms that are neither p^j g(x) nor x^j g(p).
        """
        return bracket_integral(self.hamiltonian, W, self.space)

    def split(self, order: int | None = None) -> tuple[sp.Expr, sp.Expr]:
        """The two factors of the evolution, real, with all orders of hbar or up to one of them.

        Arguments:
            order: the highest power of hbar kept; None for the exact factors.

        Returns:
            (K, V): dW^/dt = -i K(p, k) W^ with W^(k, p) = int e^{-ikx} W dx and
            K = [T(p + hbar k/2) - T(p - hbar k/2)]/hbar; dW^/dt = i V(x, theta) W^ with
            W^(x, theta) = int e^{-ip theta} W dp and V = [U(x + hbar theta/2) - U(x - hbar theta/2)]/hbar.
            Polynomials give the odd polynomial in which hbar no longer divides anything.

        Raises:
            InputError: when H is not T(p) + U(x).
        """
        order = check_order(order)
        if self.kinetic is None or self.potential is None:
            raise InputError(
                f"H = {self.hamiltonian} is not T(p) + U(x), so the evolution does not split into a "
                f"kinetic and a "
                "potential factor; use the table of terms instead (.terms, with order= if it does not end)."
            )
        space = self.space
        return (
            _shift_difference(self.kinetic, space.p, space.k, space, order),
            _shift_difference(self.potential, space.x, space.theta, space, order),
        )

    def latex(self, order: int | None = None) -> str:
        """LaTeX of dW/dt = ..., without delimiters.

        Arguments:
            order: the highest power of hbar printed; None prints the whole table.
        """
        equation = self if order is None else moyal_equation(self.hamiltonian, self.space, order)
        pieces = []
        for row in equation.terms:
            factor = self.space.hbar**row.hbar_power * row.coefficient
            negative = factor.could_extract_minus_sign()
            factor = -factor if negative else factor
            text = "" if factor == 1 else latex(factor)
            if factor.is_Add:
                text = rf"\left({text}\right)"
            sign = "-" if negative else "+" if pieces else ""
            pieces.append(f"{sign} {text} {self._derivative_latex(row)}".strip())
        if not equation.exact:
            top = equation.order or 0
            clean = not self.hamiltonian.has(self.space.hbar)
            # Without hbar in H only even powers occur.
            pieces.append(rf"+ \mathcal{{O}}\left(\hbar^{{{top + 2 - top % 2 if clean else top + 1}}}\right)")
        return rf"\frac{{\partial W}}{{\partial t}} = {' '.join(pieces) if pieces else '0'}"

    def latex_exact(self) -> str:
        """LaTeX of the form in which every order of hbar is summed, without delimiters."""
        hbar = r"\hbar"
        if self.kinetic is None or self.potential is None:
            arrows = " + ".join(
                rf"\overleftarrow{{\partial}}_{{{latex(x)}}} \overrightarrow{{\partial}}_{{{latex(p)}}}"
                rf" - \overleftarrow{{\partial}}_{{{latex(p)}}} "
                rf"\overrightarrow{{\partial}}_{{{latex(x)}}}"
                for x, p in zip(self.space.x, self.space.p, strict=True)
            )
            return (
                rf"\frac{{\partial W}}{{\partial t}} = \frac{{2}}{{{hbar}}} "
                rf"\left({latex(self.hamiltonian)}\right) "
                rf"\sin\left[\frac{{{hbar}}}{{2}} \left({arrows}\right)\right] W"
            )
        parts = []
        for function, symbols, partners, sign in (
            (self.kinetic, self.space.p, self.space.x, -1),
            (self.potential, self.space.x, self.space.p, 1),
        ):
            if function.free_symbols.isdisjoint(symbols):
                continue
            for direction in (sign, -sign):
                operator = "+" if direction > 0 else "-"
                shifted = {
                    s: sp.Symbol(
                        rf"\left({latex(s)} {operator} \tfrac{{i {hbar}}}{{2}} "
                        rf"\partial_{{{latex(q)}}}\right)"
                    )
                    for s, q in zip(symbols, partners, strict=True)
                }
                negative = function.could_extract_minus_sign()
                text = latex((-function if negative else function).xreplace(shifted))
                for symbol in shifted.values():
                    # The argument of a function needs no second pair of parentheses.
                    text = text.replace(rf"{{\left({symbol.name} \right)}}", f"{{{symbol.name}}}")
                if function.is_Add:
                    text = rf"\left[{text}\right]"
                parts.append(f"{'+' if (direction == sign) != negative else '-'} {text}")
        body = " ".join(parts).removeprefix("+ ") or "0"
        return rf"\frac{{\partial W}}{{\partial t}} = \frac{{1}}{{i {hbar}}} \left\{{ {body} \right\}} W"

    def _derivative_latex(self, row: Term) -> str:
        total = sum(row.dx) + sum(row.dp)
        below = " ".join(
            rf"\partial {latex(v)}" + (rf"^{{{n}}}" if n > 1 else "")
            for v, n in zip(self.space.variables, row.dx + row.dp, strict=True)
            if n
        )
        above = rf"\partial^{{{total}}} W" if total > 1 else r"\partial W"
        return rf"\frac{{{above}}}{{{below}}}"


def moyal_equation(H: Any, space: PhaseSpace, order: int | str | None = None) -> MoyalEquation:
    """The evolution equation dW/dt = {{H, W}} of a Hamiltonian.

    Arguments:
        H: the Weyl symbol of the Hamiltonian, a real SymPy expression; symbols not of the space are
            parameters, and undefined functions such as U(x) or m(x) are kept.
        space: the phase space.
        order: the highest total power of hbar kept; None or "exact" for all of them. Where hbar occurs in H otherwise
            than as an explicit power (a width sqrt(hbar)), it stays in the coefficients and is not counted.

    Returns:
        A MoyalEquation.

    Raises:
        InputError: when H is not a real, finite function on the phase space.

    Source: J. E. Moyal, Proc. Camb. Phil. Soc. 45, 99 (1949); W. B. Case, Am. J. Phys. 76, 937 (2008).
    """
    order = check_order(order)
    hamiltonian = real_function(H, space)
    kinetic, potential = _separate(hamiltonian, space)
    degree = _joint_degree(hamiltonian, space)
    if order is None and degree == inf:
        rows, exact = None, False
    elif degree == inf:
        assert order is not None
        rows, exact = tuple(r for r in _table(hamiltonian, space, order + 1) if r.hbar_power <= order), False
    else:
        complete = _table(hamiltonian, space, int(degree))
        rows = complete if order is None else tuple(r for r in complete if r.hbar_power <= order)
        exact = len(rows) == len(complete)
    return MoyalEquation(hamiltonian, space, order, exact, kinetic, potential, rows)


def check_hamiltonian(H: Any, space: PhaseSpace) -> sp.Expr:
    """H with exact numbers, after making sure that a model can be built from it.

    Raises:
        InputError: when H is not a real, finite function on the phase space, or has symbols that are neither
            variables of the space nor declared parameters.
    """
    hamiltonian = real_function(H, space)
    known = {*space.variables, space.hbar, space.t, *space.defaults}
    names = {s.name: s for s in known}
    unknown: list[Any] = sorted(hamiltonian.free_symbols - known, key=str)
    strangers = [s for s in unknown if s.name in names]
    if strangers:
        raise InputError(
            f"H = {hamiltonian} has the symbol(s) {', '.join(map(str, strangers))}, named like symbols of "
            f"{space!r} but "
            "made with other assumptions; take them from the space: space.x, space.p, space.hbar, space.t, "
            "space.parameters(...)."
        )
    if unknown:
        listed = ", ".join(map(str, unknown))
        example = ", ".join(f"{s}=1" for s in unknown)
        options = " ".join(f"--set {s}=1" for s in unknown)
        raise InputError(
            f"H = {hamiltonian} has the unknown symbol(s) {listed}; declare them with their values, "
            f"space.parameters({example}), or on the command line {options}."
        )
    return hamiltonian


def real_function(H: Any, space: PhaseSpace) -> sp.Expr:
    if isinstance(H, Element):
        H = H.as_expr()
    try:
        expression = sp.sympify(H, strict=True)
    except sp.SympifyError:
        expression = None
    if not isinstance(expression, sp.Expr) or expression.is_Matrix:
        raise InputError(f"The Hamiltonian is {H!r}; give a SymPy expression in the variables of {space!r}.")
    expression = exact_decimals(expression)
    operators = sorted((s for s in expression.free_symbols if not s.is_commutative), key=str)
    if operators or not expression.is_commutative:
        raise InputError(
            f"H = {expression} holds operators "
            f"({', '.join(map(str, operators)) or 'non-commuting factors'}); the Moyal "
            "equation needs the Weyl symbol, a function of x and p: apply weyl_symbol(H, space) first."
        )
    if expression.has(sp.oo, -sp.oo, sp.zoo, sp.nan):
        raise InputError(f"H = {expression} is not finite; remove the infinite or undefined part.")
    if not expression.has(sp.I) and all(s.is_extended_real is not False for s in expression.free_symbols):
        return expression
    difference = sp.expand(expression - sp.conjugate(expression), complex=False)
    if difference != 0:
        difference = sp.simplify(difference)
    if difference != 0:
        raise InputError(
            f"H = {expression} is not real: its imaginary part is {sp.simplify(difference / (2 * sp.I))}. "
            f"A Hamiltonian's "
            "Weyl symbol is real; damping and driving by the environment go into dissipation=."
        )
    return real_form(expression)


def _separate(H: sp.Expr, space: PhaseSpace) -> tuple[sp.Expr | None, sp.Expr | None]:
    """(T(p), U(x)) with H = T + U, or (None, None)."""
    xs, ps = set(space.x), set(space.p)
    forms: Sequence[Callable[[], sp.Expr]] = (lambda: H, lambda: sp.expand(H), lambda: _normal_form(H, space))
    for form in forms:
        kinetic, potential = [], []
        for term in sp.Add.make_args(form()):
            free = term.free_symbols
            if free & ps:
                if free & xs:
                    break
                kinetic.append(term)
            else:
                potential.append(term)
        else:
            return sp.Add(*kinetic), sp.Add(*potential)
    return None, None


def _normal_form(H: sp.Expr, space: PhaseSpace) -> sp.Expr:
    try:
        return element(H, space).as_expr()
    except NotClosed:
        return H


def _joint_degree(H: sp.Expr, space: PhaseSpace) -> float:
    try:
        return element(H, space).total_degree(space.variables)
    except NotClosed:
        if not H.is_polynomial(*space.variables):
            return inf
        return sp.Poly(H, *space.variables).total_degree()


def _table(H: sp.Expr, space: PhaseSpace, top: int) -> tuple[Term, ...]:
    """All rows with up to `top` derivatives."""
    n, hbar = space.dimension, space.hbar
    derivative = _derivative_of(H, space)
    rows = []
    for k in range(1, top + 1, 2):
        s = k // 2
        for alpha in multi_indices(2 * n, k):
            a, b = alpha[:n], alpha[n:]
            weight = sp.Rational((-1) ** (s + sum(b)), 4**s * prod(factorial(i) for i in alpha))
            for power, coefficient in _powers(derivative(alpha), hbar):
                rows.append(Term(2 * s + power, _scaled(weight, coefficient), b, a))
    rows.sort(key=lambda r: (r.hbar_power, tuple(-i for i in r.dx), tuple(-i for i in r.dp)))
    return tuple(rows)


def _derivative_of(f: sp.Expr, space: PhaseSpace) -> Callable[[tuple[int, ...]], Any]:
    """Mixed derivatives by multi-index: ring elements where f closes, SymPy's otherwise."""

    def by_sympy(alpha: tuple[int, ...]) -> Any:
        return sp.diff(f, *((v, i) for v, i in zip(space.variables, alpha, strict=True) if i))

    try:
        closed = element(f, space)
    except NotClosed:
        return by_sympy

    def derivative(alpha: tuple[int, ...]) -> Any:
        try:
            return closed.derivative(alpha)
        except NotClosed:  # some functions leave the ring with a higher derivative only
            return by_sympy(alpha)

    return derivative


def _powers(value: Any, hbar: sp.Symbol) -> Iterable[tuple[int, Any]]:
    """(power, coefficient) of a derivative of H, zero coefficients left out."""
    if isinstance(value, Element):
        if value.is_zero:
            return []
        if value.irregular_in(hbar):
            return [(0, value)]
        return [(n, c) for n, c in value.coefficients(hbar).items() if not c.is_zero]
    if value == 0:
        return []
    if value.has(hbar) and value.is_polynomial(hbar):
        return [(m[0], c) for m, c in sp.Poly(value, hbar).terms()]
    return [(0, value)]


def _scaled(weight: Any, value: Any) -> sp.Expr:
    return sp.expand(weight * value.as_expr(), deep=False) if isinstance(value, Element) else weight * value


def _shift_difference(
    f: sp.Expr,
    symbols: tuple[sp.Symbol, ...],
    shifts: tuple[sp.Symbol, ...],
    space: PhaseSpace,
    order: int | None,
) -> sp.Expr:
    """[f(q + hbar s/2) - f(q - hbar s/2)]/hbar, as an odd polynomial in s where it ends or is truncated."""
    hbar = space.hbar
    if f.free_symbols.isdisjoint(symbols):
        return sp.Integer(0)
    polynomial = f.is_polynomial(*symbols)
    if order is None and not polynomial:
        up: Any
        down: Any
        up, down = (
            f.xreplace({q: q + sign * hbar * s / 2 for q, s in zip(symbols, shifts, strict=True)})
            for sign in (1, -1)
        )
        return (up - down) / hbar
    top = sp.Poly(f, *symbols).total_degree() if polynomial else inf
    if order is not None:
        top = min(top, order + 1)
    chosen = dict(zip(symbols, range(len(symbols)), strict=True))
    derivative = _derivative_of(f, space)
    terms = []
    for k in range(1, int(top) + 1, 2):
        for a in multi_indices(len(symbols), k):
            value = derivative(tuple(a[chosen[v]] if v in chosen else 0 for v in space.variables))
            weight = sp.Rational(2, 2**k * prod(factorial(i) for i in a))
            monomial = sp.Mul(*(s**i for s, i in zip(shifts, a, strict=True)))
            for power, coefficient in _powers(value, hbar):
                if order is None or k - 1 + power <= order:
                    terms.append(_scaled(weight, coefficient) * monomial * hbar ** (k - 1 + power))
    return sp.Add(*terms)
