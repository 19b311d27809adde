"""From a Hamiltonian to its checked Moyal equation: the steps and what proves each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mpmath
import sympy as sp
from sympy.core.function import AppliedUndef

from qnnsym.derivation.model import Model
from qnnsym.derivation.obligations import NumericAgreement, SymbolicZero, VanishingOrder
from qnnsym.derivation.step import Derivation, Step
from qnnsym.equations.functions import relu, step
from qnnsym.equations.latex import latex
from qnnsym.errors import InputError
from qnnsym.phase_space.equation import MoyalEquation, check_hamiltonian, moyal_equation
from qnnsym.phase_space.fields import ORDERS, field_equations
from qnnsym.phase_space.open_steps import beside, kick_steps, open_steps
from qnnsym.phase_space.parts import Parts
from qnnsym.phase_space.space import PhaseSpace

# Printed where the series does not end and no order was asked for.
DEFAULT_ORDER = 4
# Parameters, hbar and coordinates of the random points at which a step is proved.
RANGES = {"parameter": (0.4, 1.6), "coordinate": (-1.5, 1.5)}
# The derivative series knows nothing of kinks and jumps, however far away.
ROUGH = (sp.Abs, sp.sign, sp.Heaviside, sp.DiracDelta, sp.Piecewise, sp.Max, sp.Min, sp.floor, sp.ceiling, relu, step)


def derive(model: Model, order: int | None = None) -> Derivation:
    """Derive and prove the Moyal equation of a phase-space model.

    Arguments:
        model: a Model with a space and a Hamiltonian in its variables.
        order: highest power of hbar in the table of terms; None for all of them, or up to hbar^4 where the series
            does not end.

    Raises:
        InputError: for a Hamiltonian with unknown symbols, not real, or with kinks. ObligationFailed: when a step is
            not proved.
    """
    space = model.space
    if not isinstance(space, PhaseSpace):
        raise InputError(f"The model {model.name} has no phase space; give space=PhaseSpace('x', 'p').")
    hamiltonian = check_hamiltonian(model.hamiltonian, space)
    rough = {f for f in hamiltonian.atoms(*ROUGH) if not f.free_symbols.isdisjoint(space.variables)}
    if rough:
        raise InputError(
            f"H = {hamiltonian} is not smooth ({', '.join(sorted(map(str, rough)))}), so that the Moyal series says "
            "nothing about it. Give a smooth H, such as sqrt(x**2 + 0.01) for Abs(x); evolve_wigner solves this one "
            "as it is."
        )
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
    open_terms, kicks = beside(model, hamiltonian)
    if open_terms is not None:
        derivation.prove(open_steps(open_terms))
        derivation.line += f" + {sp.sstr(open_terms.apply(w))}"
        derivation.results["open"] = open_terms.terms
    if kicks is not None:
        parameters = sorted(kicks.symbol.free_symbols - {*space.variables, space.t}, key=str)
        at = {s: RANGES["parameter"] for s in (space.hbar, *parameters)}
        derivation.prove(kick_steps(kicks, at if not kicks.symbol.has(space.t) else {**at, space.t: (0.4, 1.6)}))
        derivation.line += f"; at multiples of {sp.sstr(kicks.period)} exp(-i/hbar*({sp.sstr(kicks.symbol)}))"
        derivation.results["kick"] = kicks
    derivation.latex = {
        "Hamiltonian": f"H = {latex(hamiltonian)}",
        "Moyal expansion": table.latex(),
        "All orders of hbar": exact.latex_exact(),
    }
    if open_terms is not None:
        for label in ("Moyal expansion", "All orders of hbar"):
            derivation.latex[label] += f" {open_terms.latex()}"
        derivation.latex["Open terms"] = rf"\left.\partial_t W\right|_{{open}} = {open_terms.latex()[2:]}"
    if exact.separable:
        kinetic, potential = exact.split()
        derivation.latex["Kinetic factor"] = rf"\partial_t \hat W = -i K \hat W, \quad K = {latex(kinetic)}"
        derivation.latex["Potential factor"] = rf"\partial_t \hat W = i V \hat W, \quad V = {latex(potential)}"
        if kicks is not None:
            letter, sign = ("K", "-") if kicks.kinetic else ("V", "")
            derivation.latex["Kick"] = (
                rf"\hat W \to e^{{{sign}i {letter}}} \hat W, \quad {letter} = {latex(kicks.factor())}"
            )
    if not hamiltonian.atoms(AppliedUndef):
        derivation.equations = field_equations(exact, kicks=kicks)
    return derivation


def steps(exact: MoyalEquation, table: MoyalEquation) -> Iterable[Step]:
    """The steps of the derivation, lazily: none after a failed one is ever made."""
    space, h = exact.space, exact.hamiltonian
    w = sp.Function("W", real=True)(*space.variables)
    yield Step(
        "Liouville's equation",
        "The rows with one derivative are the Poisson bracket, Liouville's equation of classical mechanics.",
        r"\{H, W\} = \sum_i H_{x_i} W_{p_i} - H_{p_i} W_{x_i}",
        moyal_equation(h, space, 0).latex(),
        SymbolicZero([_gap(table, w, 0)]),
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
            SymbolicZero([_gap(table, w, 1)]),
            "" if table.exact else "The series is cut; its remainder is what the all-order form adds.",
        )
    yield _series_step(exact, table)
    if exact.separable:
        yield from _split_steps(exact)
    else:
        yield from _mixed_steps(exact)


def _split_steps(exact: MoyalEquation) -> Iterable[Step]:
    space = exact.space
    kinetic, potential = exact.kinetic, exact.potential
    assert kinetic is not None and potential is not None
    ranges = _ranges(exact, space.variables + space.k + space.theta)
    yield Step(
        "Kinetic and potential part",
        "H is a function of the momenta plus a function of the positions, so the equation splits into two.",
        f"H = {latex(exact.hamiltonian)}",
        f"T = {latex(kinetic)}, \\quad U = {latex(potential)}",
        SymbolicZero([exact.hamiltonian - kinetic - potential, *_mixed(kinetic, space.x), *_mixed(potential, space.p)]),
    )
    big_k, big_v = exact.split()
    for title, letter, factor, function, symbols, shifts in (
        ("Kinetic factor, all orders", "K", big_k, kinetic, space.p, space.k),
        ("Potential factor, all orders", "V", big_v, potential, space.x, space.theta),
    ):
        source = "T" if letter == "K" else "U"
        q, s = latex(symbols[0]), latex(shifts[0])
        yield Step(
            title,
            "All orders of hbar together are a difference of shifted arguments.",
            rf"{letter} = \frac{{1}}{{\hbar}}\left[{source}({q} + \tfrac{{\hbar {s}}}{{2}}) - "
            rf"{source}({q} - \tfrac{{\hbar {s}}}{{2}})\right]",
            f"{letter} = {latex(factor)}",
            NumericAgreement([(_sample(factor), _sample(_shifted(function, symbols, shifts, space)))], ranges),
        )
    yield Step(
        "Norm and reality",
        "The factors vanish where the conjugate variable does, which keeps the norm, and are odd in it, which keeps W "
        "real.",
        "",
        r"K(p, 0) = 0,\quad V(x, 0) = 0,\quad K(p, -k) = -K(p, k),\quad V(x, -\theta) = -V(x, \theta)",
        SymbolicZero(
            [
                e
                for factor, shifts in ((big_k, space.k), (big_v, space.theta))
                for e in (factor.subs({s: 0 for s in shifts}), factor + factor.subs({s: -s for s in shifts}))
            ]
        ),
    )
    yield from (_cut_step(exact, order, ranges) for order in ORDERS if order is not None)
    if space.dimension == 1:
        yield _integral_step(exact, big_v)


def _mixed_steps(exact: MoyalEquation) -> Iterable[Step]:
    """What splits off an H that mixes x and p, and the rows that are left, from which kernels are generated."""
    space, parts = exact.space, Parts.of(exact)
    pieces = (parts.kinetic, parts.potential, parts.mixed)
    yield Step(
        "What splits and what mixes",
        "What depends on the momenta or on the positions alone has a factor with all orders of hbar; the rest keeps "
        "its table of terms.",
        f"H = {latex(exact.hamiltonian)}",
        rf"T = {latex(pieces[0])}, \quad U = {latex(pieces[1])}, \quad M = {latex(pieces[2])}",
        SymbolicZero(
            [exact.hamiltonian - sp.Add(*pieces), *_mixed(parts.kinetic, space.x), *_mixed(parts.potential, space.p)]
        ),
    )
    wave = {**dict(zip(space.x, space.k, strict=True)), **dict(zip(space.p, space.theta, strict=True))}
    full = sp.I * _shifted(exact.hamiltonian, space.variables, space.theta + tuple(-k for k in space.k), space)
    ranges = _ranges(exact, space.variables + space.k + space.theta)
    for order in ORDERS:
        if order is None and not parts.ends:
            continue
        kinetic, potential = parts.split(order)
        found = sp.I * (potential - kinetic) + sp.Add(
            *(
                row.coefficient
                * sp.Mul(*((sp.I * wave[v]) ** n for v, n in zip(space.variables, row.dx + row.dp, strict=True)))
                for row in parts.rows(order)
            )
        )
        if order is None:
            yield Step(
                "Factors and rows, all orders",
                "On a plane wave the two factors and the rows of the mixed part together are a difference of shifted "
                "arguments: nothing is left out.",
                rf"K = {latex(kinetic)},\quad V = {latex(potential)}",
                r"iV - iK + \sum_r c_r(x, p)\, (ik)^{\alpha_r} (i\theta)^{\beta_r} = "
                r"\tfrac{i}{\hbar}\left[H(x + \tfrac{\hbar\theta}{2}, p - \tfrac{\hbar k}{2}) - "
                r"H(x - \tfrac{\hbar\theta}{2}, p + \tfrac{\hbar k}{2})\right]",
                NumericAgreement([(_sample(found), _sample(full))], ranges, by="shifted arguments"),
            )
            continue
        power = _left_out(exact, order)
        yield Step(
            f"Factors and rows cut at hbar^{order}",
            f"Up to hbar^{order}, what kernels of this order compute is the difference of shifted arguments.",
            rf"K_{{{order}}} = {latex(kinetic)},\quad V_{{{order}}} = {latex(potential)}",
            rf"\text{{difference}} = \mathcal{{O}}(\hbar^{{{power}}})",
            _vanishing(exact, found - full, power, ranges),
            "H is smooth where the state lives.",
        )


def _series_step(exact: MoyalEquation, table: MoyalEquation) -> Step:
    """The rows against the bracket: on a plane wave H acts from both sides with its arguments shifted."""
    space, h = exact.space, exact.hamiltonian
    wave = {**dict(zip(space.x, space.k, strict=True)), **dict(zip(space.p, space.theta, strict=True))}
    rows = sp.Add(
        *(
            space.hbar**row.hbar_power
            * row.coefficient
            * sp.Mul(*((sp.I * wave[v]) ** n for v, n in zip(space.variables, row.dx + row.dp, strict=True)))
            for row in table.terms
        )
    )
    full = sp.I * _shifted(h, space.variables, space.theta + tuple(-k for k in space.k), space)
    before = r"\partial_x \to i k,\quad \partial_p \to i \theta"
    shifted = (
        r"\frac{i}{\hbar}\left[H(x + \tfrac{\hbar\theta}{2}, p - \tfrac{\hbar k}{2}) - "
        r"H(x - \tfrac{\hbar\theta}{2}, p + \tfrac{\hbar k}{2})\right]"
    )
    ranges = _ranges(exact, space.variables + space.k + space.theta)
    if table.exact:
        return Step(
            "The series ends",
            "On a plane wave the table of terms is a difference of shifted arguments: nothing is left out.",
            before,
            rf"\text{{table}} = {shifted}",
            NumericAgreement([(_sample(rows), _sample(full))], ranges, by="shifted arguments"),
        )
    power = _left_out(exact, table.order or 0)
    return Step(
        "Remainder of the series",
        "On a plane wave the table of terms is a difference of shifted arguments up to the first power of hbar left "
        "out.",
        before,
        rf"\text{{table}} = {shifted} + \mathcal{{O}}(\hbar^{{{power}}})",
        _vanishing(exact, rows - full, power, ranges),
        "H is smooth where the state lives.",
    )


def _cut_step(exact: MoyalEquation, order: int, ranges: Mapping[sp.Symbol, tuple[float, float]]) -> Step:
    """The factors cut at a power of hbar, from which kernels are generated, against the whole ones."""
    space, power = exact.space, _left_out(exact, order)
    assert exact.kinetic is not None and exact.potential is not None
    kinetic, potential = exact.split(order)
    gap = sp.I * (potential - _shifted(exact.potential, space.x, space.theta, space))
    gap -= sp.I * (kinetic - _shifted(exact.kinetic, space.p, space.k, space))
    n = str(order)
    return Step(
        f"Factors cut at hbar^{n}",
        f"Up to hbar^{n}, what kernels of this order compute is the same as the factors with all orders.",
        rf"K_{{{n}}} = {latex(kinetic)},\quad V_{{{n}}} = {latex(potential)}",
        rf"K_{{{n}}} - K = \mathcal{{O}}(\hbar^{{{power}}}),\quad V_{{{n}}} - V = \mathcal{{O}}(\hbar^{{{power}}})",
        _vanishing(exact, gap, power, ranges),
        "H is smooth where the state lives.",
    )


def _left_out(exact: MoyalEquation, order: int) -> int:
    """The first power of hbar beyond an order; without hbar in H only even powers occur."""
    return order + 1 if exact.hamiltonian.has(exact.space.hbar) else order + 2 - order % 2


def _vanishing(exact: MoyalEquation, gap: sp.Expr, power: int, ranges: Mapping) -> VanishingOrder:
    hbar = exact.space.hbar
    # Expanded, a gap that is zero is so exactly, and not rounding whose power would be measured.
    others = {s: r for s, r in ranges.items() if s != hbar}
    return VanishingOrder(sp.expand(_sample(gap)), hbar, power, others, exact=False)


def _integral_step(exact: MoyalEquation, big_v: sp.Expr) -> Step:
    """The slides' y-integral of the potential part, for a Gaussian packet, by quadrature."""
    space = exact.space
    (x,), (p,), (theta,), hbar = space.x, space.p, space.theta, space.hbar
    ranges = _ranges(exact, (x, p))
    names = list(ranges)
    potential = sp.lambdify(names, _sample(exact.potential), "mpmath")
    factor = sp.lambdify([*names, theta], _sample(big_v), "mpmath")
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


def _gap(table: MoyalEquation, w: sp.Expr, s: int) -> sp.Expr:
    """The table's rows with 2s + 1 derivatives, applied by SymPy, minus that term of the bracket."""
    space = table.space
    rows = sp.Add(
        *(
            space.hbar**row.hbar_power
            * row.coefficient
            * sp.diff(w, *((v, n) for v, n in zip(space.variables, row.dx + row.dp, strict=True) if n))
            for row in table.terms
            if sum(row.dx + row.dp) == 2 * s + 1
        )
    )
    gap = sp.expand(rows - _bracket_term(table.hamiltonian, w, space, s))
    if table.order is None or not table.hamiltonian.has(space.hbar):
        return gap
    # Powers of hbar in H count: what they lift beyond the order of the table is left out there.
    powers = ((term, term.as_coeff_exponent(space.hbar)[1]) for term in sp.Add.make_args(gap))
    return sp.Add(*(term for term, power in powers if not (power.is_Integer and power > table.order)))


def _bracket_term(h: sp.Expr, w: sp.Expr, space: PhaseSpace, s: int) -> sp.Expr:
    """The term of (2/hbar) H sin(hbar P/2) W with 2s + 1 factors P, each applied by SymPy's derivative."""
    pairs = [(sp.S.One, h, w)]
    for _ in range(2 * s + 1):
        pairs = [
            (sign * c, sp.diff(f, left), sp.diff(g, right))
            for c, f, g in pairs
            for x, p in zip(space.x, space.p, strict=True)
            for sign, left, right in ((1, x, p), (-1, p, x))
        ]
    weight = (-1) ** s * space.hbar ** (2 * s) / (sp.Integer(4) ** s * sp.factorial(2 * s + 1))
    return weight * sp.Add(*(c * f * g for c, f, g in pairs if f != 0))


def _sample(expression: sp.Expr) -> sp.Expr:
    """Undefined functions stand for all smooth ones: a proof by numbers takes one with no derivative that is zero."""
    for n, function in enumerate(sorted({f.func for f in expression.atoms(AppliedUndef)}, key=str)):
        expression = expression.replace(function, lambda *at, n=n: 2 + sp.sin(sp.Add(*at) + n))
    return expression.doit()


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
