"""The epoch scheme as a derivation: why the momenta at an epoch's end are minus the gradient of its cost.

The steps speak of the equation sets that learning runs (`learning.sweep_sets`), not of a copy: the activities are
varied along a pattern, the costates are paired with that variation, and the end values of an epoch do the rest. The
second route is the Hamiltonian written out neuron by neuron, and one linear neuron whose whole epoch is integrated in
closed form.

Source: U. Ramacher, Neural Networks 6 (1993) 547; F. Pineda, Phys. Rev. Lett. 59 (1987) 2229; L. Almeida (1987).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import sympy as sp

from qnnsym.derivation.obligations import SymbolicZero, VanishingOrder
from qnnsym.derivation.step import Step
from qnnsym.equations.calculus import tangent_set
from qnnsym.equations.unroll import entry_symbol, unrolled_rates
from qnnsym.errors import InputError
from qnnsym.neural.characteristic import CharacteristicEquations
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.learning import sweep_sets
from qnnsym.neural.network import Network
from qnnsym.neural.steps import PROOF_SIZES, mask_numbers, plain, sizes_of
from qnnsym.neural.written_out import hamilton_rates, written_out

SMALL = sp.Symbol("varepsilon", positive=True)
LATEX = {
    "gradient": r"M_{k j}((n+1) T) = -\frac{\partial C_n}{\partial W_{k j}}, \qquad C_n = \int E dt",
    "gradient from rest": r"-\frac{d C_n}{d W_{k j}} = M_{k j}((n+1) T) - \sum_i \Delta_i(n T) "
    r"\frac{\partial r_i}{\partial W_{k j}}",
    "change of weights": r"\Delta W_{k j} = -\frac{1}{\omega} \int (T - t) g_{k j} dt, \qquad g_{k j} = -\dot M_{k j}",
}


@dataclass(frozen=True)
class Ends:
    """What is prescribed at the ends of an epoch.

    Arguments:
        costate: Delta((n+1)T).  momenta: M(nT).  change: DeltaW(nT).
    """

    costate: sp.Expr = field(default=sp.S.Zero)
    momenta: sp.Expr = field(default=sp.S.Zero)
    change: sp.Expr = field(default=sp.S.Zero)


class Sweeps:
    """The rates of one epoch's sweeps at a small size, in scalar Symbols.

    Arguments:
        eqs: canonical equations.
        neurons, inputs: the size.
    """

    def __init__(self, eqs: CharacteristicEquations, neurons: int, inputs: int) -> None:
        self.eqs, self.neurons, self.inputs = eqs, neurons, inputs
        self.fixed, self.sizes = mask_numbers(neurons, inputs), sizes_of(neurons, inputs)
        self.sets = {name: s.changed(entries=()) for name, s in sweep_sets(eqs).items()}
        self.places = [(k, j) for k in range(neurons) for j in range(inputs + 1 + neurons)]
        self.y = [entry_symbol("y", (k,)) for k in range(neurons)]
        self.costate = [entry_symbol("D", (k,)) for k in range(neurons)]
        self.weights = [entry_symbol("W", at) for at in self.places]
        self.dy = [entry_symbol("y_v", (k,)) for k in range(neurons)]
        moves = [self._plain([_moves(eqs.hamiltonian, at)])[0] for at in self.places]
        # A static or missing weight is not varied.
        self.dw = [m * entry_symbol("W_v", at) for m, at in zip(moves, self.places, strict=True)]

    def _plain(self, expressions: Iterable[sp.Expr]) -> list[sp.Expr]:
        return [sp.sympify(e).xreplace(self.fixed) for e in expressions]

    @cached_property
    def activity(self) -> list[sp.Expr]:
        """F_k, the rates of the forward sweep."""
        return self._plain(unrolled_rates(self.sets["forward"], self.sizes))

    @cached_property
    def backward(self) -> tuple[list[sp.Expr], list[sp.Expr]]:
        """(rates of the costates, rates of the momenta) of the backward sweep."""
        rates = self._plain(unrolled_rates(self.sets["backward"], self.sizes))
        return rates[: self.neurons], rates[self.neurons :]

    @cached_property
    def change(self) -> list[sp.Expr]:
        """Rates of the weights, one entry after the other."""
        rates = unrolled_rates(self.eqs.equations.changed(entries=()), self.sizes)
        return self._plain(rates[2 * self.neurons : 2 * self.neurons + len(self.places)])

    @cached_property
    def variation(self) -> list[sp.Expr]:
        """Rates of the activities' variation along (dy, dW), from the tangent of the forward sweep."""
        rates = unrolled_rates(tangent_set(self.sets["forward"]), self.sizes)[self.neurons :]
        names = dict(zip((entry_symbol("W_v", at) for at in self.places), self.dw, strict=True))
        return [r.xreplace(names) for r in self._plain(rates)]

    @cached_property
    def written(self) -> sp.Expr:
        """The second route: H written out neuron by neuron."""
        h = written_out(self.eqs.hamiltonian, self.neurons, self.inputs, self.eqs.kinetic)
        return h.xreplace(self.fixed)

    @cached_property
    def cost(self) -> sp.Expr:
        """E: what is left of H without costates and momenta."""
        momenta = [entry_symbol("M", at) for at in self.places]
        return self.written.xreplace(dict.fromkeys([*self.costate, *momenta], sp.S.Zero))

    def along(self, expression: sp.Expr, activities: bool = True, weights: bool = True) -> sp.Expr:
        """The derivative of an expression along (dy, dW), by SymPy."""
        pairs = list(zip(self.y, self.dy, strict=True)) if activities else []
        pairs += list(zip(self.weights, self.dw, strict=True)) if weights else []
        return sp.Add(*(sp.diff(expression, s) * v for s, v in pairs))

    @cached_property
    def drive(self) -> sp.Expr:
        """sum_k Delta_k F_k of the written-out H."""
        return sp.Add(*(d * sp.diff(self.written, d) for d in self.costate))

    def unpaired(self) -> sp.Expr:
        """d/dt (Delta.dy) minus what the pairing claims for it."""
        rates = zip(self.backward[0], self.dy, self.costate, self.variation, strict=True)
        total = sp.Add(*(rate * v + d * dv for rate, v, d, dv in rates))
        return total - (self.along(self.drive, activities=False) - self.along(self.cost, weights=False))

    def uncollected(self) -> sp.Expr:
        """M'.dW minus what the momenta are claimed to collect."""
        total = _dot(self.backward[1], self.dw)
        return total + self.along(self.drive, activities=False) + self.along(self.cost, activities=False)

    @cached_property
    def rest(self) -> list[sp.Expr]:
        """dy* along dW: -F_y^{-1} F_W dW."""
        slopes = sp.Matrix(self.activity).jacobian(self.y)
        forces = sp.Matrix([self.along(f, activities=False) for f in self.activity])
        return list(-_inverse(slopes) * forces)

    @cached_property
    def costate_at_rest(self) -> list[sp.Expr]:
        """The costates that do not move while the activities rest: the rates of the backward sweep solved for them."""
        none = dict.fromkeys(self.costate, sp.S.Zero)
        slopes = sp.Matrix(self.backward[0]).jacobian(self.costate)
        return list(-_inverse(slopes) * sp.Matrix([r.xreplace(none) for r in self.backward[0]]))

    def remainder(self, expressions: Iterable[sp.Expr]) -> VanishingOrder:
        """Obligation: the sum of these, each with a weight of its own, is of second order in epsilon."""
        total = plain(sp.Add(*(sp.sqrt(n + 2) * e for n, e in enumerate(expressions))))
        # Both sides of a kink have to be met; without one, functions of positive arguments are met where they are real.
        signed = total.has(sp.Max, sp.Heaviside)
        positive = self.eqs.equations.scalars
        ranges = {s: (-1.7 if signed and s not in positive else 0.3, 1.7) for s in total.free_symbols - {SMALL}}
        return VanishingOrder(total, SMALL, 2, ranges, points=6 if signed else 3, exact=False)


def _dot(left: Iterable[sp.Expr], right: Iterable[sp.Expr]) -> sp.Expr:
    return sp.Add(*(a * b for a, b in zip(left, right, strict=True)))


def _moves(hamiltonian: NeuralHamiltonian, at: tuple[int, ...]) -> sp.Expr:
    exists = entry_symbol("S", at) if hamiltonian.network.mask is not None else sp.S.One
    return exists * (entry_symbol("G", at) if hamiltonian.dynamical is not None else sp.S.One)


def _inverse(matrix: sp.Matrix) -> sp.Matrix:
    return matrix.adjugate() / matrix.det()


def steps(eqs: CharacteristicEquations, ends: Ends | None = None) -> Iterable[Step]:
    """The steps of the epoch scheme, lazily: none after a failed one is ever made.

    Arguments:
        eqs: canonical equations with the kinetic sign "plus".
        ends: values at the ends of an epoch; None: those of the scheme, all zero.

    Raises:
        InputError: for other readings, and for Pontryagin's sign.
    """
    if eqs.reading != "canonical" or eqs.kinetic < 0:
        raise InputError(
            f'The epoch scheme was asked for with reading "{eqs.reading}" and kinetic '
            f'"{"plus" if eqs.kinetic > 0 else "minus"}". It sweeps the canonical equations from M = 0, which descends '
            'the cost with the sign "plus" alone; leave reading and kinetic out.'
        )
    ends = ends or Ends()
    at = [Sweeps(eqs, *size) for size in PROOF_SIZES]
    yield from _gradient(at, ends)
    yield from _from_rest(at[0], ends)
    yield _change(at, ends)
    yield from _fast(at[0])
    yield from LinearNeuron(eqs, ends).steps()


def _gradient(at: list[Sweeps], ends: Ends) -> Iterable[Step]:
    both = [(s, hamilton_rates(s.eqs.hamiltonian, s.neurons, s.inputs)) for s in at]
    gaps = []
    for s, rates in both:
        n, count = s.neurons, len(s.places)
        expected = [*rates[:n], *rates[n : 2 * n], *rates[2 * n + count :]]
        found = [*s.activity, *s.backward[0], *s.backward[1]]
        gaps += [a - b.xreplace(s.fixed) for a, b in zip(found, expected, strict=True)]
    yield Step(
        "Sweeps of an epoch",
        "In epoch n the weights are known; y is swept forwards, then Delta and M along it. The equations are "
        "Hamilton's, and several patterns are several copies of y and Delta whose shares of M add.",
        r"\dot y_{k} = H_{\Delta_k}, \qquad \dot \Delta_{k} = -H_{y_k}, \qquad \dot M_{k j} = -H_{W_{k j}}",
        r"\Delta((n+1) T) = 0, \qquad M(n T) = 0",
        SymbolicZero(gaps),
        "The weights of the epoch are given.",
    )
    yield Step(
        "Variation along a pattern",
        "Where the weights change by dW, the activities of the same pattern change by dy, which the tangent of the "
        "forward sweep carries.",
        r"\dot y_{k} = F_{k}(y, W)",
        r"\frac{d}{dt} \delta y_k = \sum_i \frac{\partial F_k}{\partial y_i} \delta y_i + "
        r"\sum_{i j} \frac{\partial F_k}{\partial W_{i j}} \delta W_{i j}",
        SymbolicZero([
            v - s.along(sp.diff(s.written, d)) for s in at for v, d in zip(s.variation, s.costate, strict=True)
        ]),
    )  # fmt: skip
    yield Step(
        "Pairing with the costates",
        "In the product of costates and variation the terms with F_y cancel; the cost and the weights are left.",
        r"\frac{d}{dt} \left(\Delta \cdot \delta y\right) = \dot \Delta \cdot \delta y + \Delta \cdot \delta \dot y",
        r"\frac{d}{dt} \left(\Delta \cdot \delta y\right) = -E_y \cdot \delta y + \Delta \cdot F_W \cdot \delta W",
        SymbolicZero([s.unpaired() for s in at]),
    )
    yield Step(
        "Momenta collect the force",
        "M' takes up what is left over, so that the cost changes by a total derivative; for weights that vary within "
        "the epoch, M' is minus the functional gradient of the cost.",
        r"\dot M \cdot \delta W = -\Delta \cdot F_W \cdot \delta W - E_W \cdot \delta W",
        r"\frac{d}{dt} \left(\Delta \cdot \delta y\right) + \dot M \cdot \delta W = "
        r"-\left(E_y \cdot \delta y + E_W \cdot \delta W\right)",
        SymbolicZero([s.uncollected() for s in at]),
        "Static weights are not varied.",
    )
    first = at[0]
    bracket, final = _ends(first, ends, [sp.S.Zero] * first.neurons)
    yield Step(
        "Integration over an epoch",
        "Between the ends of the epoch Delta.dy + M.dW grows by minus the change of the cost; Delta vanishes at the "
        "end, M and dy at the start, so that every entry of M at the end is minus a derivative of the cost.",
        r"\left[\Delta \cdot \delta y + M \cdot \delta W\right]_{n T}^{(n+1) T} = -\delta C_n",
        LATEX["gradient"],
        SymbolicZero([bracket - _dot(final, first.dw)]),
        "dW is constant in the epoch and y(nT) is fixed.",
    )


def _ends(s: Sweeps, ends: Ends, start: Iterable[sp.Expr]) -> tuple[sp.Expr, list[sp.Symbol]]:
    """(Delta.dy + M.dW at the end minus that at the start, M at the end) for a variation dy at the start."""
    final = [sp.Symbol(f"M_end_{k}_{j}", real=True) for k, j in s.places]
    first = [sp.Symbol(f"D_start_{k}", real=True) for k in range(s.neurons)]
    at_end = ends.costate * sp.Add(*s.dy) + _dot(final, s.dw)
    at_start = _dot(first, start) + ends.momenta * sp.Add(*s.dw)
    return at_end - at_start, final


def _from_rest(s: Sweeps, ends: Ends) -> Iterable[Step]:
    moved = dict(zip(s.y, (y + SMALL * v for y, v in zip(s.y, s.rest, strict=True)), strict=True))
    moved |= dict(zip(s.weights, (w + SMALL * v for w, v in zip(s.weights, s.dw, strict=True)), strict=True))
    rates = [sp.diff(s.written, d) for d in s.costate]
    yield Step(
        "Point of rest",
        "Where an epoch starts from rest, y(nT) = r(W), F(r, W) stays zero to first order as the weights change.",
        r"F(r, W) = 0",
        r"\delta r = -F_y^{-1} F_W \cdot \delta W",
        s.remainder([f.xreplace(moved) - f for f in rates]),
        "The point of rest is regular: det F_y is not zero.",
    )
    starts = [sp.Symbol(f"dy_rest_{k}", real=True) for k in range(s.neurons)]
    bracket, final = _ends(s, ends, starts)
    first = [sp.Symbol(f"D_start_{k}", real=True) for k in range(s.neurons)]
    yield Step(
        "Gradient with starts from rest",
        "The start of the activities now depends on the weights, and Delta at the start of the epoch says how much.",
        r"\left[\Delta \cdot \delta y + M \cdot \delta W\right]_{n T}^{(n+1) T} = -\delta C_n, \qquad "
        r"\delta y(n T) = \delta r",
        LATEX["gradient from rest"],
        SymbolicZero([bracket - (_dot(final, s.dw) - _dot(first, starts))]),
        "y(nT) is the point of rest.",
    )


def _change(at: list[Sweeps], ends: Ends) -> Step:
    gaps, omega = [], at[0].eqs.hamiltonian.inertia
    for s in at:
        for rate, place, dw in zip(s.change, s.places, s.dw, strict=True):
            if dw != 0:  # what the derivative of (T - t) M + omega DeltaW has besides (T - t) M'
                gaps.append(omega * rate - entry_symbol("M", place))
    start = sp.Symbol("T", positive=True) * ends.momenta + omega * ends.change
    return Step(
        "Change of the weights",
        "The change grows from zero at the rate M/omega and is integrated by parts: (T - t) M plus omega times the "
        "change has the derivative (T - t) M' and vanishes at the start. Up to a time tau in the epoch the same holds "
        "with tau for T; parametric weights take the change at the end, dynamical ones that of every tau.",
        r"\Delta \dot W_{k j} = \frac{M_{k j}}{\omega}, \qquad \Delta W(n T) = 0",
        LATEX["change of weights"],
        SymbolicZero([*gaps, start]),
    )


def _fast(s: Sweeps) -> Iterable[Step]:
    costate = dict(zip(s.costate, s.costate_at_rest, strict=True))
    moved = dict(zip(s.y, (y + SMALL * v for y, v in zip(s.y, s.rest, strict=True)), strict=True))
    moved |= dict(zip(s.weights, (w + SMALL * v for w, v in zip(s.weights, s.dw, strict=True)), strict=True))
    force = _dot((m.xreplace(costate) for m in s.backward[1]), s.dw)
    yield Step(
        "Fast relaxation",
        "For lambda/T to zero activities and costates rest during almost all of the epoch; with both at rest M' is "
        "minus the gradient of the cost at rest: recurrent backpropagation.",
        r"\dot \Delta = 0, \qquad F(r, W) = 0",
        r"\dot M_{k j} = -\frac{d E(r(W), W)}{d W_{k j}}",
        s.remainder([s.cost.xreplace(moved) - s.cost + SMALL * force]),
        "Patterns and targets are static.",
    )
    t, span, omega, slope = sp.symbols("t T omega g", positive=True)
    yield Step(
        "Step of gradient descent",
        "A constant force makes the change of the weights a step of gradient descent.",
        LATEX["change of weights"],
        r"\Delta W_{k j} = -\eta \frac{d E}{d W_{k j}}, \qquad \eta = \frac{T^2}{2 \omega}",
        SymbolicZero([-sp.integrate((span - t) * slope, (t, 0, span)) / omega + span**2 / (2 * omega) * slope]),
    )


class LinearNeuron:
    """One linear neuron with one input: the whole epoch integrated, the second route of all steps above.

    Arguments:
        eqs: whose sets are those of the same mechanism; its own network is not used.
        ends: values at the ends of an epoch.
    """

    def __init__(self, eqs: CharacteristicEquations, ends: Ends) -> None:
        self.t, self.span = sp.symbols("t T", positive=True)
        names = {n: sp.Symbol(n, positive=True) for n in ("lambda", "omega")}
        mask = [[1, 0, 0]]
        h = NeuralHamiltonian(Network(1, 1, "linear", mask), *names.values(), cost=QuadraticCost())
        sweeps = sweep_sets(h.characteristic_equations())
        sizes, one = sizes_of(1, 1), {entry_symbol("S", (0, j)): sp.Integer(mask[0][j]) for j in range(3)}
        numbers = {h.relaxation: names["lambda"], h.inertia: names["omega"], h.decay: sp.S.Zero, **one}
        self.x, self.d, self.w, self.start = sp.symbols("x d w y_start", real=True)
        numbers |= {entry_symbol("x", (0,)): self.x, entry_symbol("d", (0,)): self.d, entry_symbol("c", (0,)): sp.S.One}
        numbers |= {entry_symbol("W", (0, 0)): self.w, entry_symbol("W", (0, 1)): 0, entry_symbol("W", (0, 2)): 0}
        self.relaxation, self.inertia, self.ends = names["lambda"], names["omega"], ends
        (forward,) = (r.xreplace(numbers) for r in unrolled_rates(sweeps["forward"], sizes))
        backward, force, *_ = (r.xreplace(numbers) for r in unrolled_rates(sweeps["backward"], sizes))
        y, costate = entry_symbol("y", (0,)), entry_symbol("D", (0,))
        self.activity = self._affine(forward, y, sp.S.Zero, self.start)
        self.costate = self._affine(backward.subs(y, self.activity), costate, self.span, ends.costate)
        force = force.subs({costate: self.costate, y: self.activity})
        self.momentum = ends.momenta + self._integral(force)
        self.change = ends.change + self._integral(self.momentum / self.inertia)
        self.cost = self._integral((self.activity - self.d) ** 2 / 2)

    def _integral(self, rate: sp.Expr, start: sp.Expr = sp.S.Zero) -> sp.Expr:
        terms = sp.Add.make_args(sp.expand(rate))
        return sp.expand(sp.Add(*(sp.integrate(sp.powsimp(e), (self.t, start, self.t)) for e in terms)))

    def _affine(self, rate: sp.Expr, variable: sp.Symbol, start: sp.Expr, value: sp.Expr) -> sp.Expr:
        """The solution of variable' = a variable + b(t) that has a value at a time."""
        a = sp.diff(rate, variable)
        b = sp.expand(rate - a * variable)
        grown = value + self._integral(sp.expand(b * sp.exp(a * (start - self.t))), start)
        return sp.expand(sp.exp(a * (self.t - start)) * grown)

    def at_end(self, expression: sp.Expr) -> sp.Expr:
        return expression.subs(self.t, self.span)

    def steps(self) -> Iterable[Step]:
        lam, omega, span, x = self.relaxation, self.inertia, self.span, self.x
        rest, error = {self.start: self.w * x}, self.w * x - self.d
        momentum, change, cost = (self.at_end(e) for e in (self.momentum, self.change, self.cost))
        decay = sp.exp(-span / lam)
        yield Step(
            "One linear neuron",
            "The epoch of one linear neuron is integrated in closed form; its M(T) is minus the derivative of its "
            "cost, at a fixed start and, with the term of the costate, from rest; e = w x - d.",
            r"\lambda \dot y = -y + w x, \qquad \lambda \dot \Delta = \Delta - \lambda (y - d), \qquad "
            r"\lambda \dot M = -\Delta x",
            r"M(T) = -e x \left[T - \lambda (1 - e^{-T/\lambda})\right], \qquad \Delta W = -\frac{e x}{\omega} "
            r"\left[\frac{T^2}{2} - \lambda^2 \left(1 - (1 + \frac{T}{\lambda}) e^{-T/\lambda}\right)\right]",
            SymbolicZero([
                momentum + sp.diff(cost, self.w),
                (momentum - self.costate.subs(self.t, 0) * x).subs(rest) + sp.diff(cost.subs(rest), self.w),
                momentum.subs(rest) + error * x * (span - lam * (1 - decay)),
                change.subs(rest) + error * x / omega * (span**2 / 2 - lam**2 * (1 - (1 + span / lam) * decay)),
            ]),
            "The formulas shown start from rest.",
        )  # fmt: skip
        gap = change + span**2 / (2 * omega) * error * x
        ranges = {s: (0.6, 1.4) for s in (omega, span, x, self.w, self.d)}
        zero = {self.start: sp.S.Zero}
        for title, start, order, size in (("from rest", rest, 2, r"\lambda^{2}"), ("from zero", zero, 1, r"\lambda")):
            yield Step(
                f"Gap to gradient descent, {title}",
                "How fast the limit is reached: the gap between the epoch's change of the weight and gradient descent.",
                r"\Delta W + \eta \frac{d E}{d w}",
                rf"\mathcal{{O}}({size})",
                VanishingOrder(gap.subs(start), lam, order, ranges),
                f"One linear neuron, {title}.",
            )
