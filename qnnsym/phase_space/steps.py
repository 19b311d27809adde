"""From a Hamiltonian to its checked Moyal equation: the steps and what proves each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mpmath
import sympy as sp

from qnnsym.derivation.model import Model
from qnnsym.derivation.obligations import NumericAgreement, SymbolicZero, VanishingOrder
from qnnsym.derivation.step import Derivation, Step
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.fields import field_equations
from qnnsym.phase_space.space import PhaseSpace

# Printed where the series does not end and no order was asked for.
DEFAULT_ORDER = 4
# Parameters, hbar and coordinates of the random points at which a step is proved.
RANGES = {"parameter": (0.4, 1.6), "coordinate": (-1.5, 1.5)}


def derive(model: Model, order: int | None = None) -> Derivation:
    """Derive and prove the Moyal equation of a phase-space model.

    Arguments:
        model: a Model with a space and a Hamiltonian in its variables.
        order: highest power of hbar in the table of terms; None for all of them, or up to hbar^4 where the series
            does not end.

    Raises:
        InputError: for a Hamiltonian with unknown symbols, or not real. ObligationFailed: when a step is not proved.
    """
    space = model.space
    if not isinstance(space, PhaseSpace):
        raise InputError(f"The model {model.name} has no phase space; give space=PhaseSpace('x', 'p').")
    hamiltonian = check_hamiltonian(model.hamiltonian, space)
    exact = moyal_equation(hamiltonian, space)
    table = exact if order is None and exact.exact else moyal_equation(hamiltonian, space, order or DEFAULT_ORDER)
    if order is not None:
        table = moyal_equation(hamiltonian, space, order)
    derivation = Derivation(model.name)
    derivation.prove(steps(exact, table))
    w = sp.Function("W", real=True)(*space.variables)
    rest = "" if table.exact else " + higher powers of hbar"
    derivation.line = f"dW/dt = {sp.sstr(table.rhs(w))}{rest}"
    derivation.results = {"moyal": exact, "table": table, "terms": table.terms}
    derivation.latex = {
        "Hamiltonian": f"H = {sp.latex(hamiltonian)}",
        "Moyal expansion": table.latex(),
        "All orders of hbar": exact.latex_exact(),
    }
    if exact.separable:
        kinetic, potential = exact.split()
        derivation.latex["Kinetic factor"] = rf"\partial_t \hat W = -i K \hat W, \quad K = {sp.latex(kinetic)}"
        derivation.latex["Potential factor"] = rf"\partial_t \hat W = i V \hat W, \quad V = {sp.latex(potential)}"
        if space.dimension == 1 and not hamiltonian.has(space.t):
            derivation.equations = field_equations(exact)
    return derivation


def steps(exact: MoyalEquation, table: MoyalEquation) -> Iterable[Step]:
    """The steps of the derivation, lazily: none after a failed one is ever made."""
    space, h = exact.space, exact.hamiltonian
    w = sp.Function("W", real=True)(*space.variables)
    yield Step(
        "Liouville's equation",
        "The rows without hbar are the Poisson bracket, Liouville's equation of classical mechanics.",
        r"\{H, W\} = \sum_i H_{x_i} W_{p_i} - H_{p_i} W_{x_i}",
        moyal_equation(h, space, 0).latex(),
        SymbolicZero([_rows(exact, w, 0) - _bracket_terms(h, w, space, 0)]),
        "H does not contain hbar." if not h.has(space.hbar) else "Powers of hbar in H are counted with the rows.",
    )
    top = min(2, table.order if table.order is not None else 2)
    if top >= 2:
        yield Step(
            "Moyal expansion",
            "The table of terms is the sine of the Poisson operator, applied by repeated differentiation to H and an "
            "arbitrary W.",
            r"\tfrac{2}{\hbar}\, H \sin\left[\tfrac{\hbar}{2}\left(\overleftarrow{\partial}_x "
            r"\overrightarrow{\partial}_p - \overleftarrow{\partial}_p \overrightarrow{\partial}_x\right)\right] W",
            table.latex(),
            SymbolicZero([_rows(exact, w, 2) - _bracket_terms(h, w, space, 2)]),
            "" if table.exact else "The series is cut; its remainder is what the all-order form adds.",
        )
    if exact.separable:
        yield from _split_steps(exact, table)


def _split_steps(exact: MoyalEquation, table: MoyalEquation) -> Iterable[Step]:
    space = exact.space
    kinetic, potential = exact.kinetic, exact.potential
    assert kinetic is not None and potential is not None
    yield Step(
        "Kinetic and potential part",
        "H is a function of the momenta plus a function of the positions, so the equation splits into two.",
        f"H = {sp.latex(exact.hamiltonian)}",
        f"T = {sp.latex(kinetic)}, \\quad U = {sp.latex(potential)}",
        SymbolicZero([exact.hamiltonian - kinetic - potential, *_mixed(kinetic, space.x), *_mixed(potential, space.p)]),
    )
    big_k, big_v = exact.split()
    for title, letter, factor, function, symbols, shifts in (
        ("Kinetic factor, all orders", "K", big_k, kinetic, space.p, space.k),
        ("Potential factor, all orders", "V", big_v, potential, space.x, space.theta),
    ):
        source = "T" if letter == "K" else "U"
        q, s = sp.latex(symbols[0]), sp.latex(shifts[0])
        yield Step(
            title,
            "All orders of hbar together are a difference of shifted arguments.",
            rf"{letter} = \frac{{1}}{{\hbar}}\left[{source}({q} + \tfrac{{\hbar {s}}}{{2}}) - "
            rf"{source}({q} - \tfrac{{\hbar {s}}}{{2}})\right]",
            f"{letter} = {sp.latex(factor)}",
            NumericAgreement([(factor, _shifted(function, symbols, shifts, space))], _ranges(exact, symbols + shifts)),
        )
    yield _series_step(exact, table)
    yield Step(
        "Norm and reality",
        "The factors vanish where the conjugate variable does, which keeps the norm, and are odd in it, which keeps W "
        "real.",
        r"K(p, 0) = 0,\quad V(x, 0) = 0",
        r"K(p, -k) = -K(p, k),\quad V(x, -\theta) = -V(x, \theta)",
        SymbolicZero(
            [
                e
                for factor, shifts in ((big_k, space.k), (big_v, space.theta))
                for e in (factor.subs({s: 0 for s in shifts}), factor + factor.subs({s: -s for s in shifts}))
            ]
        ),
    )
    if space.dimension == 1 and not exact.hamiltonian.has(space.t):
        yield _integral_step(exact, big_v)


def _series_step(exact: MoyalEquation, table: MoyalEquation) -> Step:
    """The rows against the factors: on a plane wave the table is -iK + iV up to the power of hbar it keeps."""
    space = exact.space
    wave = {**dict(zip(space.x, space.k, strict=True)), **dict(zip(space.p, space.theta, strict=True))}
    rows = sp.Add(
        *(
            space.hbar**row.hbar_power
            * row.coefficient
            * sp.Mul(*((sp.I * wave[v]) ** n for v, n in zip(space.variables, row.dx + row.dp, strict=True)))
            for row in table.terms
        )
    )
    assert exact.kinetic is not None and exact.potential is not None
    full = sp.I * (
        _shifted(exact.potential, space.x, space.theta, space) - _shifted(exact.kinetic, space.p, space.k, space)
    )
    ranges = _ranges(exact, space.variables + space.k + space.theta)
    before = r"\partial_x \to i k,\quad \partial_p \to i \theta"
    if table.exact:
        return Step(
            "The series ends",
            "On a plane wave the table of terms equals the two factors: nothing is left out.",
            before,
            r"\text{table} = -i K + i V",
            NumericAgreement([(rows, full)], ranges, by="shifted arguments"),
        )
    order = table.order or 0
    power = order + 2 - order % 2
    return Step(
        "Remainder of the series",
        "On a plane wave the table of terms equals the two factors up to the first power of hbar left out.",
        before,
        rf"\text{{table}} = -i K + i V + \mathcal{{O}}(\hbar^{{{power}}})",
        VanishingOrder(
            rows - full, space.hbar, power, {s: r for s, r in ranges.items() if s != space.hbar}, exact=False
        ),
        "The potential is smooth where the state lives.",
    )


def _integral_step(exact: MoyalEquation, big_v: sp.Expr) -> Step:
    """The slides' y-integral of the potential part, for a Gaussian packet, by quadrature."""
    space = exact.space
    (x,), (p,), (theta,), hbar = space.x, space.p, space.theta, space.hbar
    ranges = _ranges(exact, (x, p))
    names = list(ranges)
    potential = sp.lambdify(names, exact.potential, "mpmath")
    factor = sp.lambdify([*names, theta], big_v, "mpmath")
    a, x0, p0 = mpmath.mpf(3) / 4, mpmath.mpf(1) / 5, mpmath.mpf(-2) / 5

    def packet(at: Any, h: Any) -> Any:
        return mpmath.exp(-((at - x0) ** 2) / (2 * a**2) + 1j * p0 * at / h) / (mpmath.pi * a**2) ** mpmath.mpf("0.25")

    def by_y(point: Mapping[sp.Symbol, Any]) -> Any:
        h, px = point[hbar], point[p]

        def integrand(y: Any) -> Any:
            up, down = ({**point, x: point[x] + sign * y / 2} for sign in (1, -1))
            gap = potential(*(up[n] for n in names)) - potential(*(down[n] for n in names))
            return mpmath.exp(-1j * px * y / h) * gap * packet(up[x], h) * mpmath.conj(packet(down[x], h))

        return _line(integrand, 2 * a) / (2 * mpmath.pi * h) / (1j * h)

    def by_theta(point: Mapping[sp.Symbol, Any]) -> Any:
        h, px = point[hbar], point[p]

        def integrand(s: Any) -> Any:
            value = factor(*(point[n] for n in names), s)
            hat = mpmath.exp(-((point[x] - x0) ** 2) / a**2 - 1j * p0 * s - (h * s / (2 * a)) ** 2)
            return 1j * value * mpmath.exp(1j * px * s) * hat / (a * mpmath.sqrt(mpmath.pi))

        return _line(integrand, 2 * a / h) / (2 * mpmath.pi)

    return Step(
        "Integral form of the potential part",
        "The integral over the off-diagonal distance y, evaluated for a Gaussian packet, is the potential factor in "
        "theta with y = -hbar theta.",
        r"\frac{\partial W_U}{\partial t} = \frac{1}{2\pi\hbar}\int e^{-ipy/\hbar}\, \frac{U(x+\frac y2) - "
        r"U(x-\frac y2)}{i\hbar}\, \langle x+\tfrac y2|\rho|x-\tfrac y2\rangle\, dy",
        r"\frac{\partial \hat W_U}{\partial t} = i V(x, \theta)\, \hat W, \qquad \hat W(x, \theta) = "
        r"\int e^{-ip\theta} W\, dp",
        NumericAgreement([(by_y, by_theta)], ranges, points=2, tolerance=1e-25, by="quadrature of a Gaussian packet"),
    )


def _line(integrand: Any, width: Any) -> Any:
    """Integral over the line of a function that falls off like a Gaussian of the given width."""
    edges = [width * n for n in (-12, -6, -3, 0, 3, 6, 12)]
    return mpmath.quad(integrand, edges, method="gauss-legendre", maxdegree=7)


def _rows(equation: MoyalEquation, w: sp.Expr, order: int) -> sp.Expr:
    """The rows of one power of hbar, applied by SymPy."""
    space = equation.space
    table = moyal_equation(equation.hamiltonian, space, order)
    return sp.Add(
        *(
            space.hbar**row.hbar_power
            * row.coefficient
            * sp.diff(w, *((v, n) for v, n in zip(space.variables, row.dx + row.dp, strict=True) if n))
            for row in table.terms
            if row.hbar_power == order
        )
    )


def _bracket_terms(h: sp.Expr, w: sp.Expr, space: PhaseSpace, order: int) -> sp.Expr:
    """The terms with hbar^order of (2/hbar) H sin(hbar P/2) W, P applied once per power by SymPy's derivative."""
    total = sp.S.Zero
    for s in range(order // 2 + 1):
        pairs = [(sp.S.One, h, w)]
        for _ in range(2 * s + 1):
            pairs = [
                (sign * c, sp.diff(f, left), sp.diff(g, right))
                for c, f, g in pairs
                for x, p in zip(space.x, space.p, strict=True)
                for sign, left, right in ((1, x, p), (-1, p, x))
            ]
        weight = (-1) ** s * space.hbar ** (2 * s) / (sp.Integer(4) ** s * sp.factorial(2 * s + 1))
        total += weight * sp.Add(*(c * f * g for c, f, g in pairs if f != 0))
    expanded = sp.expand(total)
    return expanded.coeff(space.hbar, order) * space.hbar**order


def _shifted(function: sp.Expr, symbols: Any, shifts: Any, space: PhaseSpace) -> sp.Expr:
    half = {q: space.hbar * s / 2 for q, s in zip(symbols, shifts, strict=True)}
    up, down = (
        function.subs({q: q + sign * step for q, step in half.items()}, simultaneous=True) for sign in (1, -1)
    )
    return (up - down) / space.hbar


def _mixed(function: sp.Expr, symbols: Iterable[sp.Symbol]) -> list[sp.Expr]:
    return [sp.diff(function, s) for s in symbols]


def _ranges(equation: MoyalEquation, symbols: Iterable[sp.Symbol]) -> dict[sp.Symbol, tuple[float, float]]:
    space = equation.space
    free = equation.hamiltonian.free_symbols - set(space.variables)
    ranges = {s: RANGES["parameter"] for s in sorted(free | {space.hbar}, key=str)}
    return {**ranges, **{s: RANGES["coordinate"] for s in symbols}}
