"""The star product and the evolution equation as integrals, and what can be said about the convergence of their series.

A factor that depends on positions alone multiplies the matrix element <x + y/2| . |x - y/2>,

    U * F = h^{-n} int e^{-i(p - p')y/hbar} U(x + y/2) F(x, p') dp' dy,      F * U with U(x - y/2),

a factor of momenta alone <p + q/2| . |p - q/2>, and powers of the other variable are Bopp operators in front of these
integrals. They hold where the series in hbar diverges.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import sympy as sp
from sympy.core.function import AppliedUndef

from qnnsym.errors import InputError
from qnnsym.phase_space.moyal import as_function, moyal_bracket
from qnnsym.phase_space.ring import Element
from qnnsym.phase_space.space import PhaseSpace


class SeriesWarning(UserWarning):
    """The series in hbar does not end, and an integral form was returned in its place."""


class SeriesVerdict(NamedTuple):
    """kind: "ends", "converges", "conditional", "diverges" or "unknown"; sentence says why."""

    kind: str
    sentence: str


def series_verdict(H: Any, space: PhaseSpace) -> SeriesVerdict:
    """Whether the Moyal series of H acting on a Wigner function converges.

    The n-th term is (hbar/2)^n (d^n H)(d^n W)/n!. Derivatives of a Gaussian W grow as sqrt(n!), so that those of H may
    grow no faster: entire functions of order below 2 always converge, of order 2 (Gaussians) for small hbar, others and
    functions with singularities in the complex plane (rational functions, tanh, roots, logarithms) never.

    Arguments:
        H: a SymPy expression or ring element.
        space: the phase space.

    Returns:
        A SeriesVerdict for W of the type polynomial times Gaussian.
    """
    f = H.as_expr() if isinstance(H, Element) else as_function(H)
    order = _growth(f, space)
    if order == 0:
        return SeriesVerdict("ends", f"The series of {f} ends, because it is a polynomial.")
    if order is None:
        return SeriesVerdict("unknown", f"{f} holds an undefined function, so that nothing is known of its series.")
    if order == 1:
        return SeriesVerdict(
            "converges", f"The series of {f} converges, because it is made of polynomials and plane waves."
        )
    if order == 2:
        return SeriesVerdict(
            "conditional",
            f"The derivative series of {f} converges only while hbar is smaller than the product of the width of its "
            "Gaussian in one variable and that of W in the other; beyond, it diverges.",
        )
    return SeriesVerdict(
        "diverges",
        f"The derivative series of {f} diverges for every hbar on a Gaussian W, because its derivatives grow faster "
        "than sqrt(n!); it is asymptotic only.",
    )


def _growth(f: Any, space: PhaseSpace) -> Any:
    """The order of an entire function (0 for polynomials), oo where it is none, None where it is not known."""
    variables = space.variables
    if f.is_polynomial(*variables):
        return 0
    if f.is_Add or f.is_Mul:
        return _largest(_growth(a, space) for a in f.args)
    if f.is_Pow and not isinstance(f, sp.exp) and f.exp.is_Integer and f.exp > 0:
        return _growth(f.base, space)
    if isinstance(f, (sp.exp, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.erf)):
        inner = f.args[0]
        if inner.is_polynomial(*variables):
            degree = sp.Poly(inner, *variables).total_degree()
            return 2 * degree if isinstance(f, sp.erf) else degree
        return None if _growth(inner, space) is None else sp.oo
    if f.atoms(AppliedUndef):
        return None
    return sp.oo


def _largest(orders: Iterable[Any]) -> Any:
    found = list(orders)
    # A singularity decides, whatever an undefined function does besides.
    if sp.oo in found:
        return sp.oo
    return None if None in found else max(found)


def star_integral(f: Any, g: Any, space: PhaseSpace) -> sp.Expr:
    """The star product f * g in integral form.

    Arguments:
        f, g: SymPy expressions; undefined functions are kept.
        space: the phase space.

    Returns:
        An expression with SymPy Integrals over y and p' (or q and x') where one factor depends on positions (momenta)
        alone up to powers of their partners, and over two shifts u, v of all variables otherwise:
        (pi hbar)^{-2n} int f(z + u) g(z + v) exp[(2i/hbar)(u_x v_p - u_p v_x)] du dv.

    Source: J. von Neumann, Math. Ann. 104, 570 (1931); G. A. Baker, Phys. Rev. 109, 2198 (1958).
    """
    f, g = as_function(f), as_function(g)
    for factor, other, left in ((f, g, True), (g, f, False)):
        try:
            return sp.Add(*(_acting(t, other, space, left) for t in _pieces(factor, space)))
        except _Mixed:
            continue
    n, hbar = space.dimension, space.hbar
    u = [_fresh(f"u_{v.name}", space) for v in space.variables]
    w = [_fresh(f"v_{v.name}", space) for v in space.variables]
    phase = sp.Add(*(u[i] * w[n + i] - u[n + i] * w[i] for i in range(n)))
    moved_f = _moved(f, {v: v + s for v, s in zip(space.variables, u, strict=True)})
    moved_g = _moved(g, {v: v + s for v, s in zip(space.variables, w, strict=True)})
    integrand = moved_f * moved_g * sp.exp(2 * sp.I * phase / hbar)
    return sp.Integral(integrand, *((s, -sp.oo, sp.oo) for s in (*u, *w))) / (sp.pi * hbar) ** (2 * n)


def bracket_integral(H: Any, W: Any, space: PhaseSpace) -> sp.Expr:
    """The Moyal bracket {{H, W}} in integral form, the whole evolution equation without a series.

    Arguments:
        H: kinetic plus potential energy, T(p) + U(x), or terms p^j g(x), x^j g(p) (a mass that depends on position).
        W: SymPy expression, or an undefined function W(x, p).
        space: the phase space.

    Returns:
        For U(x): (1/(i hbar h^n)) int e^{-i(p - p')y/hbar} [U(x + y/2) - U(x - y/2)] W(x, p') dp' dy, likewise T(p);
        polynomial terms by their derivatives.

    Raises:
        InputError: where a term of H depends on x and p otherwise.

    Source: E. Wigner, Phys. Rev. 40, 749 (1932); W. B. Case, Am. J. Phys. 76, 937 (2008).
    """
    H, W = as_function(H), as_function(W)
    try:
        pieces = _pieces(H, space)
    except _Mixed as mixed:
        raise InputError(
            f"The term {mixed} of H = {H} is neither a power of momenta times a function of positions nor the other "
            "way round, so that the bracket has no integral over one coordinate only; take star_integral of both "
            "orders."
        ) from None
    polynomial = sp.Add(*(t for t in pieces if t.is_polynomial(*space.variables)))
    total = moyal_bracket(polynomial, W, space) if polynomial != 0 else sp.Integer(0)
    for term in pieces:
        if term.is_polynomial(*space.variables):
            continue
        if term.free_symbols.isdisjoint(space.p) or term.free_symbols.isdisjoint(space.x):
            total += _difference(term, W, space)
        else:
            total += (_acting(term, W, space, True) - _acting(term, W, space, False)) / (sp.I * space.hbar)
    return total


def evolution_integrals(H: Any, space: PhaseSpace, psi: Any) -> tuple[sp.Expr, sp.Expr]:
    """dW_T/dt and dW_U/dt of a pure state as integrals over y, from Schroedinger's equation.

    Arguments:
        H: T(p) + U(x), T a polynomial.
        space: the phase space.
        psi: the wave function, a SymPy expression in the positions or an undefined function of them.

    Returns:
        (1/(i hbar h^n)) int e^{-ipy/hbar} [(T psi)(x + y/2) psi*(x - y/2) - psi(x + y/2) (T psi)*(x - y/2)] dy and
        (1/(i hbar h^n)) int e^{-ipy/hbar} [U(x + y/2) - U(x - y/2)] psi(x + y/2) psi*(x - y/2) dy.

    Raises:
        InputError: when H is not of that kind.

    Source: W. B. Case, Am. J. Phys. 76, 937 (2008).
    """
    from qnnsym.phase_space.equation import moyal_equation

    equation = moyal_equation(H, space, 0)
    kinetic, potential = equation.kinetic, equation.potential
    if kinetic is None or potential is None or not kinetic.is_polynomial(*space.p):
        raise InputError(f"H = {H} is not T(p) + U(x) with a polynomial T; bracket_integral takes more general ones.")
    psi = as_function(psi)
    if psi.has(*space.p):
        raise InputError(f"The wave function {psi} holds a momentum; give it in {', '.join(map(str, space.x))}.")
    acted: Any = sp.Integer(0)
    for orders, c in sp.Poly(kinetic, *space.p).terms():
        derivatives = [(x, n) for x, n in zip(space.x, orders, strict=True) if n]
        acted += c * (-sp.I * space.hbar) ** sum(orders) * (sp.diff(psi, *derivatives) if derivatives else psi)
    y = [_fresh("y" if space.dimension == 1 else f"y_{x.name}", space) for x in space.x]
    up = {x: x + s / 2 for x, s in zip(space.x, y, strict=True)}
    down = {x: x - s / 2 for x, s in zip(space.x, y, strict=True)}
    wave = sp.exp(-sp.I * sp.Add(*(p * s for p, s in zip(space.p, y, strict=True))) / space.hbar)
    cells = sp.I * space.hbar * (2 * sp.pi * space.hbar) ** space.dimension

    def integral(integrand: Any) -> Any:
        return sp.Integral(wave * integrand, *((s, -sp.oo, sp.oo) for s in y)) / cells

    bra = sp.conjugate(psi)
    from_kinetic = _moved(acted, up) * _moved(bra, down) - _moved(psi, up) * _moved(sp.conjugate(acted), down)
    from_potential = (_moved(potential, up) - _moved(potential, down)) * _moved(psi, up) * _moved(bra, down)
    return integral(from_kinetic), integral(from_potential)


class _Mixed(Exception):
    """A term that is no power of one kind of variables times a function of the other."""


def _pieces(f: Any, space: PhaseSpace) -> list[Any]:
    """Terms of f, each polynomial in the momenta or in the positions.

    Raises:
        _Mixed: naming a term that is neither.
    """
    if f.free_symbols.isdisjoint(space.p) or f.free_symbols.isdisjoint(space.x):
        return [f]
    pieces = list(sp.Add.make_args(sp.expand(f, power_exp=False)))
    for piece in pieces:
        if not (piece.is_polynomial(*space.p) or piece.is_polynomial(*space.x)):
            raise _Mixed(piece)
    return pieces


def _acting(f: Any, W: Any, space: PhaseSpace, left: bool) -> Any:
    """f * W (or W * f) for a term of `_pieces`: powers of one variable v by v F = (v * F + F * v)/2."""
    positional = f.is_polynomial(*space.p)
    partners = space.p if positional else space.x
    for i, v in enumerate(partners):
        if f.has(v):
            rest = sp.cancel(f / v) if f.is_polynomial(*space.variables) else f / v
            outer = _bopp(_acting(rest, W, space, left), i, positional, space, left)
            inner = _acting(rest, _bopp(W, i, positional, space, left), space, left)
            return (outer + inner) / 2
    return _shifted(f, W, space, 1 if left else -1, positional)


def _bopp(F: Any, i: int, momentum: bool, space: PhaseSpace, left: bool) -> Any:
    """p_i * F = p_i F - (i hbar/2) dF/dx_i, x_i * F = x_i F + (i hbar/2) dF/dp_i; the other sign from the right."""
    v, partner = (space.p[i], space.x[i]) if momentum else (space.x[i], space.p[i])
    sign = (-1 if momentum else 1) * (1 if left else -1)
    return v * F + sign * sp.I * space.hbar / 2 * sp.diff(F, partner)


def _frame(space: PhaseSpace, positional: bool) -> tuple[list[Any], dict[Any, Any], Any, Any]:
    """Integration variables (shifts, then primed partners), their replacement in W, the wave, the number of cells."""
    partners = space.p if positional else space.x
    own = space.x if positional else space.p
    stem = "y" if positional else "q"
    shifts = [_fresh(stem if space.dimension == 1 else f"{stem}_{v.name}", space) for v in own]
    primed = [_fresh(f"{v.name}'", space) for v in partners]
    sign = -1 if positional else 1
    phase = sp.Add(*((v - w) * s for v, w, s in zip(partners, primed, shifts, strict=True)))
    wave = sp.exp(sign * sp.I * phase / space.hbar)
    return (
        [*shifts, *primed],
        dict(zip(partners, primed, strict=True)),
        wave,
        (2 * sp.pi * space.hbar) ** space.dimension,
    )


def _shifted(f: Any, W: Any, space: PhaseSpace, sign: int, positional: bool) -> Any:
    if f.free_symbols.isdisjoint(space.variables):
        return f * W
    over, primes, wave, cells = _frame(space, positional)
    own = space.x if positional else space.p
    moved = _moved(f, {v: v + sign * s / 2 for v, s in zip(own, over, strict=False)})
    return sp.Integral(wave * moved * _moved(W, primes), *((v, -sp.oo, sp.oo) for v in over)) / cells


def _difference(f: Any, W: Any, space: PhaseSpace) -> Any:
    """(f * W - W * f)/(i hbar) under one integral."""
    positional = f.free_symbols.isdisjoint(space.p)
    over, primes, wave, cells = _frame(space, positional)
    own = space.x if positional else space.p
    up, down = (_moved(f, {v: v + sign * s / 2 for v, s in zip(own, over, strict=False)}) for sign in (1, -1))
    integrand = wave * (up - down) * _moved(W, primes)
    return sp.Integral(integrand, *((v, -sp.oo, sp.oo) for v in over)) / (sp.I * space.hbar * cells)


def _moved(f: Any, replacements: dict[Any, Any]) -> Any:
    """f with its arguments shifted, derivatives of undefined functions included."""
    return f.subs(replacements, simultaneous=True) if f.has(sp.Derivative) else f.xreplace(replacements)


def _fresh(name: str, space: PhaseSpace) -> sp.Symbol:
    taken = {s.name for s in (*space.variables, *space.defaults, space.t, space.hbar)}
    while name in taken:
        name += "'"
    return sp.Symbol(name, real=True)
