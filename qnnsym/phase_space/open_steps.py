"""What stands beside H in a model, derived: open terms from their operators, kicks from their unitary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from qnnsym.derivation.obligations import NumericAgreement, SymbolicZero, VanishingOrder
from qnnsym.derivation.step import Step
from qnnsym.equations.latex import latex
from qnnsym.phase_space.dissipation import Dissipation
from qnnsym.phase_space.fields import ORDERS
from qnnsym.phase_space.kicks import Kicks

RANGE = (-1.5, 1.5)


def open_steps(open_terms: Dissipation) -> Iterable[Step]:
    """The steps from a master equation to the open terms of dW/dt."""
    space = open_terms.space
    (x,), (p,), hbar = space.x, space.p, space.hbar
    w = sp.Function("W", real=True)(x, p)
    jumps = r",\quad ".join(
        rf"L = \sqrt{{{latex(rate)}}}\,\left({latex(symbol)}\right)" for rate, symbol in open_terms.jumps
    )
    friction = rf"-\tfrac{{i}}{{\hbar}} {latex(open_terms.friction)}\, [\hat x, \{{\hat p, \rho\}}]"
    before = jumps + (rf"\quad {friction}" if open_terms.friction != 0 else "")
    yield Step(
        "Open terms",
        "Star products of the Weyl symbols of the master equation's operators end after two derivatives: their sum is "
        "a Fokker-Planck operator, with every power of hbar.",
        before,
        rf"\left.\frac{{\partial W}}{{\partial t}}\right|_{{\text{{open}}}} = "
        f"{open_terms.latex().removeprefix('+ ')}",
        SymbolicZero([open_terms.from_operators(w) - open_terms.apply(w)]),
        "The environment has no memory.",
    )
    a, b, dx, dp = open_terms.rates
    yield Step(
        "The norm is kept",
        "The open terms are derivatives of a current.",
        "",
        rf"\left.\frac{{\partial W}}{{\partial t}}\right|_{{\text{{open}}}} = \partial_x \left({latex(a)} x W "
        rf"+ {latex(dx)} \partial_x W\right) + \partial_p \left({latex(b)} p W "
        rf"+ {latex(dp)} \partial_p W\right)",
        SymbolicZero(
            [
                open_terms.apply(w)
                - sp.diff(a * x * w + dx * sp.diff(w, x), x)
                - sp.diff(b * p * w + dp * sp.diff(w, p), p)
            ]
        ),
    )
    if open_terms.diffusion != 0:
        time, smearing = sp.Symbol("tau", positive=True), sp.Symbol("c", positive=True)
        kernel = sp.exp(-(p**2) / smearing**2) / (smearing * sp.sqrt(sp.pi))
        kernel = kernel.subs(smearing, sp.sqrt(4 * open_terms.diffusion * time))
        yield Step(
            "Position decoherence is momentum smearing",
            "Diffusion for a time tau spreads momenta with the Gaussian of width c, c^2 = 4 D tau: its kernel solves "
            "the heat equation.",
            r"\partial_\tau W = D\, \partial_p^2 W",
            r"W(p, \tau) = \int \frac{e^{-(p-p_0)^2/c^2}}{c \sqrt{\pi}} W(p_0, 0)\, dp_0,\quad c^2 = 4 D \tau",
            SymbolicZero(
                [sp.simplify((sp.diff(kernel, time) - open_terms.diffusion * sp.diff(kernel, p, 2)) / kernel)]
            ),
        )
    if open_terms.damping != 0:
        variance = (open_terms.occupation + sp.Rational(1, 2)) * open_terms.length**2
        thermal = sp.exp(-(x**2) / (2 * variance) - p**2 * open_terms.length**4 / (2 * hbar**2 * variance))
        only = Dissipation(
            space, open_terms.damping, open_terms.occupation, sp.Integer(0), sp.Integer(0), open_terms.length
        )
        yield Step(
            "Damping leads to the thermal state",
            "The oscillator's thermal Gaussian with the occupation of the environment does not change.",
            r"W \sim \exp\left[-\frac{x^2/l^2 + p^2 l^2/\hbar^2}{2 n + 1}\right]",
            r"\left.\frac{\partial W}{\partial t}\right|_{\text{damping}} = 0",
            SymbolicZero([sp.simplify(only.apply(thermal) / thermal)]),
            f"l^2 = {latex(open_terms.length**2)}, the oscillator's length.",
        )
    if open_terms.friction != 0 and open_terms.diffusion != 0:
        maxwell = sp.exp(-(p**2) * open_terms.friction / open_terms.diffusion)
        part = Dissipation(
            space, sp.Integer(0), sp.Integer(0), open_terms.diffusion, open_terms.friction, open_terms.length
        )
        yield Step(
            "Friction and diffusion balance",
            "Maxwell's distribution exp(-p^2/2mkT) does not change where D = 2 m f k T.",
            r"W \sim \exp\left(-\frac{f p^2}{D}\right)",
            r"2 f\, \partial_p (p W) + D\, \partial_p^2 W = 0",
            SymbolicZero([sp.simplify(part.apply(maxwell) / maxwell)]),
        )


def kick_steps(kicks: Kicks, ranges: Mapping[sp.Symbol, tuple[float, float]]) -> Iterable[Step]:
    """The step from exp(-i kick/hbar) to its factor."""
    space = kicks.equation.space
    (x,), (p,), (k,), (theta,), hbar = space.x, space.p, space.k, space.theta, space.hbar
    symbol, shift, sign = (p, k, -1) if kicks.kinetic else (x, theta, 1)
    up, down = (kicks.symbol.subs(symbol, symbol + s * hbar * shift / 2) for s in (1, -1))
    factor = kicks.factor()
    # <x - hbar theta/2| U rho U^dag |x + hbar theta/2> and <k| likewise: one phase from each side.
    phases = sp.exp(-sp.I * (down - up if not kicks.kinetic else up - down) / hbar)
    name, source = ("K", "p") if kicks.kinetic else ("V", "x")
    yield Step(
        "Kick",
        "The unitary of a kick multiplies coherences by the phases of their two ends: the factor of a Hamiltonian that "
        "acts for a time of one.",
        rf"e^{{-i \kappa/\hbar}} \rho\, e^{{i \kappa/\hbar}}, \quad \kappa({source}) = {latex(kicks.symbol)}",
        rf"\hat W \to e^{{{'-' if kicks.kinetic else ''}i {name}}} \hat W,\quad {name} = {latex(factor)}",
        NumericAgreement([(sp.exp(sign * sp.I * factor), phases)], {**ranges, symbol: RANGE, shift: RANGE}),
        f"Kicks come at all multiples of {latex(kicks.period)}; outputs at these times are just before them.",
    )
    for order in (order for order in ORDERS if order is not None):
        power = order + 1 if kicks.symbol.has(hbar) else order + 2
        # Expanded, a gap that is zero is so exactly, and not rounding whose power would be measured.
        gap = sp.expand(sp.I * (kicks.factor(order) - factor))
        at = {s: r for s, r in {**ranges, symbol: RANGE, shift: RANGE}.items() if s != hbar}
        yield Step(
            f"Kick cut at hbar^{order}",
            f"Up to hbar^{order} the kick's factor is the same as with all orders.",
            rf"{name}_{{{order}}} = {latex(kicks.factor(order))}",
            rf"{name}_{{{order}}} - {name} = \mathcal{{O}}(\hbar^{{{power}}})",
            VanishingOrder(gap, hbar, power, at, exact=False),
            "The kick is smooth where the state lives.",
        )


def beside(model: Any, hamiltonian: sp.Expr) -> tuple[Dissipation | None, Kicks | None]:
    """What stands beside H in a model's options."""
    options = model.options
    return (
        Dissipation.of(options.get("dissipation"), hamiltonian, model.space),
        Kicks.of(options.get("kick"), options.get("period"), model.space),
    )
