"""From shift operators in H to the checked equations of one reading.

The second route of every step is the stack of epochs written out neuron by neuron: shifted variables are then ordinary
variables of neighbouring epochs, X(t - v T) = X_{n-v}(tau), and SymPy's derivatives do what the rules of `shifts`
claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import product

import sympy as sp

from qnnsym.derivation.obligations import SymbolicZero
from qnnsym.derivation.step import Step
from qnnsym.equations.unroll import entry_symbol, unroll, unrolled_rates
from qnnsym.neural.hamiltonian import INPUTS, SIZE, Z
from qnnsym.neural.printing import shifted_latex
from qnnsym.neural.readings import DelayedEquations
from qnnsym.neural.shifts import EPOCH, REMAINING, shifted_form
from qnnsym.neural.steps import PROOF_SIZES, cost_step, mask_numbers, tangent_obligation
from qnnsym.neural.written_out import written_out

# Epochs of the stacks: every kind of epoch, first, inner and last, is among them.
EPOCHS = {(2, 1): 3, (3, 2): 2}

RULES = {
    "causal": "A shifted variable is the variable: d(S_vT X)/dX = 1",
    "variational": "Shifted variables are values of one path; the variation of the action meets X(t) in H at t + v T "
    "as well, up to the last epoch",
    "frozen": "Shifted variables are known functions of time: d(S_vT X)/dX = 0 for v > 0",
}


class StackedEpochs:
    """K epochs written out at a small size.

    Arguments:
        eqs: equations of one reading.
        neurons, inputs: the size.
        epochs: K.
    """

    def __init__(self, eqs: DelayedEquations, neurons: int, inputs: int, epochs: int) -> None:
        self.eqs, self.neurons, self.inputs, self.epochs = eqs, neurons, inputs, epochs
        self.rows = [(k,) for k in range(neurons)]
        self.places = list(product(range(neurons), range(inputs + 1 + neurons)))
        # y, Delta, W and M of one epoch, in the order of the rates.
        self.names = [("y", at) for at in self.rows] + [("D", at) for at in self.rows]
        self.names += [("W", at) for at in self.places] + [("M", at) for at in self.places]

    @staticmethod
    def at(name: str, indices: tuple[int, ...], epoch: int) -> sp.Symbol:
        """The value of an array's entry in an epoch; -1 is the history."""
        return sp.Symbol(f"{name}_{'_'.join(map(str, indices))}_at_{epoch}", real=True)

    def state(self, epoch: int) -> list[sp.Symbol]:
        """The state's components in an epoch."""
        return [self.at(name, at, epoch) for name, at in self.names]

    def moves(self, at: tuple[int, ...]) -> sp.Expr:
        """Whether a weight moves, as the product of its masks."""
        h = self.eqs.hamiltonian
        exists = entry_symbol("S", at) if h.network.mask is not None else sp.S.One
        return exists * (entry_symbol("G", at) if h.dynamical is not None else sp.S.One)

    @cached_property
    def hamiltonians(self) -> list[sp.Expr]:
        """H in every epoch, its shifted variables those of earlier epochs."""
        found = []
        for n in range(self.epochs):
            h = written_out(self.eqs.hamiltonian, self.neurons, self.inputs, self.eqs.kinetic, lags=n + 2)
            place = self._common(n)
            for at in self.places:
                place |= {entry_symbol("W", (v, *at)): self.at("W", at, n - v) for v in (0, 1)}
                place |= {entry_symbol("M", (v, *at)): self.at("M", at, n - v) for v in range(n + 2)}
            found.append(h.xreplace(place))
        return found

    def _common(self, epoch: int) -> dict[sp.Symbol, sp.Symbol]:
        signals = [("x", (a,)) for a in range(self.inputs)] + [("d", at) for at in self.rows]
        activity = [n for n in self.names if n[0] in "yD"]
        return {entry_symbol(name, at): self.at(name, at, epoch) for name, at in (*activity, *signals)}

    @cached_property
    def rates(self) -> list[list[sp.Expr]]:
        """The derived rates of every epoch, values of other times those of other epochs."""
        sizes = {SIZE: self.neurons, INPUTS: self.inputs}
        derived = unrolled_rates(self.eqs.equations.changed(entries=()), sizes)
        found = []
        for n in range(self.epochs):
            last = n + 1 == self.epochs
            place: dict = {**self._common(n), REMAINING: sp.Integer(self.epochs - n)}
            for at in self.places:
                place |= {entry_symbol(name, at): self.at(name, at, n) for name in "WM"}
                place[entry_symbol("Wd", at)] = self.at("W", at, n - 1)
                place[entry_symbol("Mp", at)] = sp.Add(*(self.at("M", at, n - v) for v in range(1, n + 2)))
            for at in self.rows:
                place[entry_symbol("ya", at)] = sp.S.Zero if last else self.at("y", at, n + 1)
                place[entry_symbol("Da", at)] = sp.S.Zero if last else self.at("D", at, n + 1)
            for a in range(self.inputs):
                place[entry_symbol("xa", (a,))] = sp.S.Zero if last else self.at("x", (a,), n + 1)
            found.append([r.xreplace(place) for r in derived])
        return found

    def rate(self, name: str, at: tuple[int, ...], epoch: int) -> sp.Expr:
        """The derived rate of one component."""
        return self.rates[epoch][self.names.index((name, at))]

    def expected(self, name: str, at: tuple[int, ...], epoch: int) -> sp.Expr:
        """The same rate by SymPy's derivative of the written-out Hamiltonians in the reading's own sense."""
        conjugate, sign = {"y": ("D", 1), "D": ("y", -1), "W": ("M", 1), "M": ("W", -1)}[name]
        static = name == "M" and self.eqs.hamiltonian.dynamical is not None
        factor = sign * (entry_symbol("G", at) if static else 1)  # a static weight has no conjugate momentum
        variable = self.at(conjugate, at, epoch)
        if self.eqs.reading == "variational":
            # The action of the stack is int (p q' - sum_n H_n) dtau.
            return factor * sp.Add(*(sp.diff(h, variable) for h in self.hamiltonians[epoch:]))
        h = self.hamiltonians[epoch]
        if self.eqs.reading == "causal" and name in "WM":
            small = sp.Dummy(real=True)
            same = {v: v + small for v in (self.at(conjugate, at, m) for m in range(-1, epoch + 1))}
            return factor * h.xreplace(same).diff(small).subs(small, 0)
        return factor * sp.diff(h, variable)

    def gaps(self, name: str) -> list[sp.Expr]:
        """Derived rates minus expected ones, of one family in all epochs."""
        return [
            self.rate(name, at, n) - self.expected(name, at, n)
            for n in range(self.epochs)
            for family, at in self.names
            if family == name
        ]


def steps(eqs: DelayedEquations) -> Iterable[Step]:
    """The steps of the derivation, lazily: none after a failed one is ever made."""
    h, sign = eqs.hamiltonian, eqs.kinetic
    yield Step(
        "Shift operators",
        "H is written with sums over index sets; the lag v of a shifted variable X(t - v T) is an index of its own, 0 "
        "and 1 for weights, 0 to n + 1 for momenta.",
        r"H = \sum_k \Delta_k F_k(t, y, S_T W) + \frac{1}{2 \omega} \sum_{v=0}^{n+1} \sum_{k j} (S_{v T} M)_{k j}^2"
        r" + E(t, y, W)",
        shifted_latex(h, sign),
        SymbolicZero([
            unroll(shifted_form(h, sign), {SIZE: neurons, INPUTS: inputs, EPOCH: n}, (Z,))
            - written_out(h, neurons, inputs, sign, lags=n + 2)
            for (neurons, inputs), n in zip(PROOF_SIZES, (1, 2), strict=True)
        ]),
        "n = floor(t/T) epochs have passed; M(t - v T) reaches back to the history on [-T, 0).",
    )  # fmt: skip
    stacks = [StackedEpochs(eqs, *size, EPOCHS[size]) for size in PROOF_SIZES]
    for name, title, label, before in _families(eqs):
        yield Step(
            title,
            f"{RULES[eqs.reading]}. With all epochs written out side by side, the derived rates are SymPy's "
            "derivatives.",
            before,
            eqs.latex[label],
            SymbolicZero([gap for stack in stacks for gap in stack.gaps(name)]),
            RULES[eqs.reading] + "." if name == "y" else "",
        )
    if eqs.equations.entries or h.cost_entries():
        yield cost_step(eqs)
    yield from _structure(eqs, stacks[0])
    yield Step(
        "Tangent equations",
        "The product with the Jacobian is taken along the state and along the values of other times; the remainder of "
        "the rates at displaced values is of second order.",
        r"F(s + \varepsilon v) = F(s) + \varepsilon F'(s) v + R",
        r"R = \mathcal{O}(\varepsilon^{2})",
        tangent_obligation(eqs, *PROOF_SIZES[0], mask_numbers(*PROOF_SIZES[0]), eqs.neighbours),
    )


def _families(eqs: DelayedEquations) -> list[tuple[str, str, str, str]]:
    """(array, title, label of its equation, formula before) of the four families."""
    by_w, by_m = {
        "causal": (r"-\sum_v \frac{\partial H}{\partial S_{v T} W}", r"\sum_v \frac{\partial H}{\partial S_{v T} M}"),
        "variational": (
            r"-\sum_v \left(\frac{\partial H}{\partial S_{v T} W}\right)(t + v T)",
            r"\sum_v \left(\frac{\partial H}{\partial S_{v T} M}\right)(t + v T)",
        ),
        "frozen": (r"-\frac{\partial H}{\partial W}", r"\frac{\partial H}{\partial M}"),
    }[eqs.reading]
    return [
        ("y", "Activity", "activity", r"\dot y_{k} = \frac{\partial H}{\partial \Delta_{k}}"),
        ("D", "Costate", "costate", r"\dot \Delta_{k} = -\frac{\partial H}{\partial y_{k}}"),
        ("W", "Weights", "weights", r"\dot W_{k j} = " + by_m),
        ("M", "Momenta", "momenta", r"\dot M_{k j} = " + by_w),
    ]


def _structure(eqs: DelayedEquations, stack: StackedEpochs) -> Iterable[Step]:
    fixed = mask_numbers(stack.neurons, stack.inputs)

    def plain(expressions: Iterable[sp.Expr]) -> list[sp.Expr]:
        return [e.xreplace(fixed) for e in expressions]

    yield Step(
        "Volume of the stack",
        "On the epochs side by side the flow has no divergence: neurons contract as their costates expand.",
        r"\sum_{n} \operatorname{tr} \frac{\partial \dot s_n}{\partial s_n}",
        "0",
        SymbolicZero([
            sp.Add(*(sp.diff(r, s) for r, s in zip(stack.rates[n], stack.state(n), strict=True)))
            for n in range(stack.epochs)
        ]),
    )  # fmt: skip
    if eqs.reading == "causal":
        yield from _causal_structure(stack, plain)
    if eqs.reading == "variational":
        total = sp.Add(*stack.hamiltonians)
        # Inputs, targets and the history stand still in tau.
        yield Step(
            "Conservation of the stack's Hamiltonian",
            "The equations are Hamilton's for the sum of all epochs' Hamiltonians in tau, so that it is conserved.",
            r"\mathcal H(\tau) = \sum_{n=0}^{K-1} H(n T + \tau)",
            r"\frac{d \mathcal H}{d \tau} = 0",
            SymbolicZero(plain([
                sp.Add(*(
                    sp.diff(total, s) * r
                    for n in range(stack.epochs)
                    for s, r in zip(stack.state(n), stack.rates[n], strict=True)
                ))
            ])),
            "Inputs, targets, cost and history do not depend on tau.",
        )  # fmt: skip


def _causal_structure(
    stack: StackedEpochs, plain: Callable[[Iterable[sp.Expr]], list[sp.Expr]]
) -> Iterable[Step]:
    h, sign = stack.eqs.hamiltonian, stack.eqs.kinetic
    omega, last = h.inertia, stack.epochs - 1
    yield Step(
        "Telescoping identity",
        "The sums over past momenta of two successive epochs differ by one term, so that one lagged value replaces a "
        "growing number of them; on [0, T) it holds if omega W' = M did in the history.",
        r"\dot W(t) - \dot W(t - T)",
        r"\frac{d}{dt} (1 - S_T) W = " + ("-" if sign < 0 else "") + r"\frac{M}{\omega}",
        SymbolicZero([
            stack.rate("W", at, n) - earlier - sign * stack.moves(at) * stack.at("M", at, n) / omega
            for n in range(stack.epochs)
            for at in stack.places
            for earlier in [
                stack.rate("W", at, n - 1) if n else sign * stack.moves(at) * stack.at("M", at, -1) / omega
            ]
        ]),
        "omega W' = M on [-T, 0), for t < T only.",
    )  # fmt: skip
    # Values of M at 0-, 0+, T, 2T, ... and at -T; between epochs M is continuous.
    before, far = sp.symbols("M_before M_far", real=True)

    def right(at: tuple[int, ...]) -> dict:
        return {stack.at("M", at, -1): far}

    def left(at: tuple[int, ...]) -> dict:
        ends = {stack.at("M", at, m): stack.at("M", at, m + 1) for m in range(last)}
        return {**ends, stack.at("M", at, -1): before}

    start = {at: stack.at("M", at, 0) for at in stack.places}
    yield Step(
        "Jumps at t = n T",
        "One more term enters the sum at every multiple of T; with M continuous, W' jumps by M(-T)/omega each time.",
        r"\dot W(n T^+) - \dot W(n T^-)",
        r"\frac{1}{\omega} \left[M(0^+) - M(0^-) + M(-T)\right]",
        SymbolicZero([
            stack.rate("W", at, n).xreplace(right(at)) - stack.rate("W", at, n - 1).xreplace(left(at))
            - sign * stack.moves(at) * (start[at] - before + far) / omega
            for n in range(1, stack.epochs)
            for at in stack.places
        ]),
        "M is continuous for t > 0.",
    )  # fmt: skip
    jumps = []
    for n in range(1, stack.epochs):
        kinetic = [
            sp.Add(*(stack.at("M", at, m) ** 2 for m in range(-1, n))) for at in stack.places
        ]  # of the epoch that ends
        kinetic_left = [
            k.xreplace(left(at)).subs(before, start[at]) for k, at in zip(kinetic, stack.places, strict=True)
        ]
        gap = _kinetic(stack, n, right) - sp.Add(
            *(sign * stack.moves(at) * k / (2 * omega) for at, k in zip(stack.places, kinetic_left, strict=True))
        )
        jumps.append(gap - sign * sp.Add(*(stack.moves(at) for at in stack.places)) * far**2 / (2 * omega))
    yield Step(
        "Jump of H at t = n T",
        "For continuous M the new term is all by which H changes.",
        r"H(n T^+) - H(n T^-)",
        r"\frac{1}{2 \omega} \sum_{k j} M_{k j}(-T)^2",
        SymbolicZero(jumps),
        "M is continuous at t = 0.",
    )
    yield Step(
        "Change of H",
        "Inside an epoch the terms of y and Delta cancel; those of the shifts remain, so that H is not conserved.",
        r"\dot H = \sum_v \left[ H_{S_{v T} W} \dot W(t - v T) + H_{S_{v T} M} \dot M(t - v T) \right]"
        r" + H_y \dot y + H_\Delta \dot \Delta",
        r"\dot H = \frac{1}{\omega} \sum_{k j} \left[ -\frac{\partial (\Delta F)}{\partial S_T W} M(t) + "
        r"\sum_{v=1}^{n+1} M(t - v T) (\dot M(t - v T) - \dot M(t)) \right]",
        SymbolicZero(plain([_change_of_h(stack, n) for n in range(1, stack.epochs)])),
        "Inputs, targets and cost do not depend on time; t > T.",
    )
    yield Step(
        "Symplectic form",
        "The linear flow A of the stack would be symplectic if C = Omega A - (Omega A)^T were zero. Two terms remain: "
        "W' of an epoch depends on the momenta of earlier ones and not the other way round, and the force of the "
        "drives acts on the weights of the epoch itself instead of those it came from.",
        r"C = \Omega A - (\Omega A)^T, \qquad G_n = \frac{\partial (\Delta F)}{\partial S_T W}(n T + \tau)",
        r"C = \frac{1}{\omega} \sum_{m < n} d M_m \wedge d M_n + \sum_{n} d G_n \wedge d (W_n - W_{n-1})",
        SymbolicZero(plain(_symplectic_defect(stack))),
        "Constants of the history do not vary.",
    )


def _symplectic_defect(stack: StackedEpochs) -> list[sp.Expr]:
    """Entries of Omega A - (Omega A)^T minus their closed form, for the first two epochs."""
    epochs, omega = range(2), stack.eqs.hamiltonian.inertia
    fixed = mask_numbers(stack.neurons, stack.inputs)
    pairs = [(("y", at), ("D", at)) for at in stack.rows]
    # A static weight is no coordinate of the stack.
    pairs += [(("W", at), ("M", at)) for at in stack.places if stack.moves(at).xreplace(fixed) != 0]
    coordinates = [(*name, n) for n in epochs for pair in pairs for name in pair]
    symbols = [stack.at(*c) for c in coordinates]
    partner = {}
    for q, p in pairs:
        for n in epochs:
            # Omega has 1 between q and p: its row of q is that of p with a plus, and the other way round.
            partner[(*q, n)], partner[(*p, n)] = (1, (*p, n)), (-1, (*q, n))
    lowered = [sign * stack.rate(*other) for sign, other in (partner[c] for c in coordinates)]
    product_ = [[sp.diff(row, s) for s in symbols] for row in lowered]
    # dG for every weight of every epoch, along the coordinates.
    slopes = {}
    for n in epochs:
        for name, at in (w for (w, _) in pairs if w[0] == "W"):
            g = sp.diff(stack.hamiltonians[n], stack.at("W", at, n - 1))
            slopes[name, at, n] = [sp.diff(g, s) for s in symbols]
    found = []
    for a, left in enumerate(coordinates):
        for b in range(a):
            right = coordinates[b]
            closed = sp.S.Zero
            for one, other, sign in ((left, b, -1), (right, a, 1)):
                # W_n carries -dG_n, and +dG_{n+1}: the form d G ^ d(W_n - W_{n-1}).
                if one[0] == "W":
                    closed += sign * slopes[one][other]
                    if one[2] == 0:
                        closed -= sign * slopes["W", one[1], 1][other]
            if left[0] == right[0] == "M" and left[1] == right[1] and left[2] > right[2]:
                closed -= stack.eqs.kinetic * stack.moves(left[1]) / omega
            found.append(product_[a][b] - product_[b][a] - closed)
    return found


def _kinetic(stack: StackedEpochs, epoch: int, values: Callable[[tuple[int, ...]], dict]) -> sp.Expr:
    """The kinetic terms of H in an epoch, its momenta at given values: H minus H without momenta."""
    h = stack.hamiltonians[epoch]
    none = {stack.at("M", at, m): sp.S.Zero for at in stack.places for m in range(-1, epoch + 1)}
    known = {k: v for at in stack.places for k, v in values(at).items()}
    return sp.expand(h - h.xreplace(none)).xreplace(known)


def _change_of_h(stack: StackedEpochs, n: int) -> sp.Expr:
    """dH/dt by the chain rule over everything that moves in epoch n, minus the closed form."""
    h, sign, omega = stack.hamiltonians[n], stack.eqs.kinetic, stack.eqs.hamiltonian.inertia

    def rate(name: str, at: tuple[int, ...], epoch: int) -> sp.Expr:
        return stack.rate(name, at, epoch) if epoch >= 0 else stack.at(f"d{name}", at, epoch)

    moved = [(name, at, n) for name, at in stack.names]
    moved += [("W", at, n - 1) for at in stack.places]
    moved += [("M", at, n - v) for at in stack.places for v in range(1, n + 2)]
    total = sp.Add(*(sp.diff(h, stack.at(*place)) * rate(*place) for place in moved))
    closed = sp.S.Zero
    for at in stack.places:
        factor = sign * stack.moves(at) / omega
        closed -= factor * sp.diff(h, stack.at("W", at, n - 1)) * stack.at("M", at, n)
        for v in range(1, n + 2):
            difference = rate("M", at, n - v) - rate("M", at, n)
            closed += factor * stack.at("M", at, n - v) * difference
    return total - closed
