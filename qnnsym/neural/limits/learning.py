"""What must hold for learning and for ranks: gradients, the limit of fast relaxation, convergence, lost constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy.integrate import solve_ivp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.checks.orders import order_check
from qnnsym.errors import InputError
from qnnsym.neural.hamiltonian import NeuralHamiltonian, QuadraticCost
from qnnsym.neural.learning import train
from qnnsym.neural.network import ARGUMENT
from qnnsym.neural.numerics import Data
from qnnsym.neural.numerics.learner import Learner
from qnnsym.neural.rank import rank_report
from qnnsym.neural.steps import plain

PINEDA = "F. Pineda, Phys. Rev. Lett. 59 (1987) 2229; L. Almeida (1987)"


def _quadratic(model: Any) -> str | None:
    if (
        not isinstance(model.hamiltonian.cost, QuadraticCost)
        or not model.hamiltonian.autonomous
        or callable(model.inputs)
    ):
        return "The network by hand is written for the quadratic cost and constant signals."
    return None


@dataclass(frozen=True)
class _Hand:
    """The model's network written by hand, real or complex; no derived equation enters."""

    h: NeuralHamiltonian
    inputs: np.ndarray
    numbers: dict

    @classmethod
    def of(cls, model: Any) -> _Hand:
        h = model.hamiltonian.changed()
        for key, value in model.values.items():
            h.set_value(str(key), value)
        numbers_ = dict(zip(h.scalars, Data(h.characteristic_equations()).par, strict=False))
        return cls(h, np.zeros(0) if model.inputs is None else np.asarray(model.inputs, float), numbers_)

    def masked(self, w: np.ndarray) -> np.ndarray:
        return w if self.h.network.mask is None else w * self.h.network.mask

    @cached_property
    def _functions(self) -> list:
        names = [(s, self.numbers[kernel]) for s, kernel in self.h._rename.items()]
        bodies = [plain(f).subs(dict(names)) for f in self.h.network.activations]
        choice = np.array(self.h.network.choice)
        return [(sp.lambdify(ARGUMENT, body, "numpy"), choice == n) for n, body in enumerate(bodies)]

    def activated(self, u: np.ndarray) -> np.ndarray:
        out = np.empty_like(u)
        for function, mine in self._functions:
            out[mine] = function(u[mine])
        return out

    def rate(self, y: np.ndarray, w: np.ndarray) -> np.ndarray:
        return -y + self.activated(self.masked(w) @ np.concatenate([self.inputs, [1.0], y]))

    def cost(self, y: np.ndarray, w: np.ndarray) -> Any:
        decay = self.numbers[self.h.decay] / 2 * np.sum(self.masked(w) ** 2)
        return self.h.weight @ (y - self.h.target) ** 2 / 2 + decay

    def integral(self, w: np.ndarray, y0: np.ndarray, duration: float) -> Any:
        lam = self.numbers[self.h.relaxation]

        def motion(_: float, s: np.ndarray) -> np.ndarray:
            return np.append(self.rate(s[:-1], w) / lam, self.cost(s[:-1], w))

        start = np.append(y0, 0.0).astype(w.dtype)
        return solve_ivp(motion, (0, duration), start, method="DOP853", rtol=1e-11, atol=1e-13).y[-1, -1]

    def rest(self, w: np.ndarray) -> np.ndarray:
        y = np.zeros(self.h.network.neurons, w.dtype)
        for _ in range(4000):
            step = 0.5 * self.rate(y, w)
            y = y + step
            # The imaginary part of a complex step comes to rest by itself.
            if np.abs(step.real).max() < 1e-16 and np.abs(step.imag).max() <= 1e-16 * np.abs(y.imag).max():
                break
        return y

    def backpropagated(self, w: np.ndarray) -> np.ndarray:
        """dE_ss/dW by recurrent backpropagation."""
        net, y = self.h.network, self.rest(w)
        z = np.concatenate([self.inputs, [1.0], y])
        u = self.masked(w) @ z
        slope = self.activated(u + 1e-30j).imag / 1e-30
        recurrent = self.masked(w)[:, net.inputs + 1 :]
        error = np.linalg.solve(np.eye(y.size) - recurrent.T * slope, self.h.weight * (y - self.h.target))
        return self.masked(np.outer(error * slope, z)) + self.numbers[self.h.decay] * self.masked(w)


def _numbered(hand: _Hand, relaxation: float | None = None, inertia: float = 1.0) -> NeuralHamiltonian:
    changes: dict[str, Any] = {"inertia": inertia}
    if relaxation is not None:
        changes["relaxation"] = relaxation
    return hand.h.changed(**changes)


@dataclass(frozen=True)
class gradient_identity:
    """M at an epoch's end is minus the gradient of the epoch's cost in the weights; from rest, with Delta(nT).dy*/dW.

    Arguments:
        duration: T.  tolerance: relative to the largest entry.
    """

    duration: float = 1.5
    tolerance: float = 1e-7
    name: str = "M(T) = -dC/dW"

    def applies(self, model: Any) -> str | None:
        return _quadratic(model)

    def run(self, context: Context) -> list[Check]:
        model, hand = context.model, _Hand.of(context.model)
        w, y0 = np.asarray(model.state["weights"], float), np.asarray(model.state["y"], float)
        learner = Learner(
            _numbered(hand), hand.inputs[None] if hand.inputs.size else None, hand.h.target, self.duration
        )
        learner.steps *= 8
        epoch = learner.epoch(w, y0[None])
        resting = learner.epoch(w, learner.at_rest(w, y0[None]))
        total = resting.momenta - np.where(hand.h.moving, learner.rest_gradient(w, resting), 0.0)
        source = "W. Hager, Numer. Math. 87 (2000) 247; W. Squire, G. Trapp, SIAM Rev. 40 (1998) 110"
        detail = f"T = {self.duration:g}; the gradient by SciPy's integrator on the network written by hand"
        rows = []
        for label, found, start in (
            ("M(T)", epoch.momenta, lambda _: y0),
            ("from rest, M(T) - Delta(0).dy*/dW", total, hand.rest),
        ):
            gradient = np.zeros(w.shape)
            for at in np.argwhere(hand.h.moving):
                moved = w.astype(complex)
                moved[tuple(at)] += 1e-30j
                gradient[tuple(at)] = hand.integral(moved, start(moved), self.duration).imag / 1e-30
            gap = float(np.abs(gradient + found).max() / np.abs(gradient).max())
            what = f"{label} against complex-step gradients of int E dt"
            rows.append(Check.below(self.name, what, gap, self.tolerance, source, detail))
        return rows


@dataclass(frozen=True)
class backpropagation:
    """For fast relaxation the change of the weights is a step of gradient descent by recurrent backpropagation.

    Arguments:
        ratios: lambda/T.
    """

    ratios: tuple[float, ...] = (0.04, 0.02, 0.01, 0.005)
    name: str = "backpropagation limit"

    def applies(self, model: Any) -> str | None:
        return _quadratic(model)

    def run(self, context: Context) -> list[Check]:
        hand, w = _Hand.of(context.model), np.asarray(context.model.state["weights"], float)
        exact, inputs = hand.backpropagated(w), hand.inputs[None] if hand.inputs.size else None
        rows, gaps = [], {}
        for start, order in (("relaxed", 2.0), ("reset", 1.0)):
            errors = []
            for ratio in self.ratios:
                found = train(
                    _numbered(hand, ratio), (inputs, None), 1, start, weights0=w, duration=1.0, progress=False
                )
                change = np.where(hand.h.moving, exact, 0.0)
                errors.append(float(np.abs(found.weights[1] - w + change / 2).max()))
            label = "from rest" if start == "relaxed" else "from zero"
            gaps[label] = errors
            rows.append(
                order_check(
                    self.name, f"order in lambda/T of the gap to gradient descent, {label}", self.ratios, errors, order,
                    PINEDA,
                )
            )  # fmt: skip
        context.figures.append({
            "kind": "order", "name": "backpropagation", "h": self.ratios, "errors": gaps,
            "slopes": {"from rest": 2.0, "from zero": 1.0}, "xlabel": "lambda/T", "ylabel": "gap to gradient descent",
            "caption": "The epoch's step against recurrent backpropagation, for ever faster relaxation.",
            "alt": "Gap against lambda/T: first order from zero, second order from rest.",
        })  # fmt: skip
        return rows


@dataclass(frozen=True)
class learns:
    """A training reaches a stated fraction of its first cost, which falls monotonically.

    Arguments:
        task: name.  net, data: as for `train`.  options: of `train`.
        fraction: of the first cost that has to be reached.
    """

    task: str
    net: Any
    data: Any
    fraction: float = 1e-3
    options: dict = field(default_factory=dict)
    name: str = "learning converges"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        found = train(self.net, self.data, progress=False, **self.options)
        costs, epochs = found.costs, len(found.costs) - 1
        rises = float(np.maximum(np.diff(costs), 0).max() / costs[0])
        slug = self.task.lower().replace(" ", "_")
        context.figures.append({
            "kind": "trace", "name": f"cost_{slug}", "t": np.arange(epochs + 1),
            "curves": {"log10 cost": np.log10(costs)}, "xlabel": "epoch", "ylabel": "log10 of the cost",
            "caption": f"{self.task}: the cost of an epoch.", "alt": f"The cost of {self.task} falls with the epochs.",
        })  # fmt: skip
        kind = found.settings["weights"]
        return [
            Check.below(
                self.name, f"{self.task}: last cost over the first", float(costs[-1] / costs[0]), self.fraction,
                "U. Ramacher, Neural Networks 6 (1993) 547", f"{epochs} epochs, {kind} weights",
            ),
            Check.below(
                self.name, f"{self.task}: largest rise of the cost over the first cost", rises, 1e-10,
                "gradient descent below its bound of stability", f"{epochs} epochs, {kind} weights",
            ),
        ]  # fmt: skip


@dataclass(frozen=True)
class divergence:
    """Learning beyond the bound of stability is refused, and the bound that is named is the edge."""

    name: str = "divergence is named"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        from qnnsym.neural.network import Network

        net, x, lam = Network(1, 1, "linear", [[1, 0, 0]]), 2.0, 0.01
        options = {"epochs": 150, "relaxation": lam, "duration": 1.0, "weights0": [[0.1, 0, 0]], "progress": False}
        found = float("nan")
        try:
            train(net, ([[x]], [[1.0]]), inertia=0.5, **options)
        except InputError as error:
            found = float(str(error).split("inertia > ")[1].split()[0])
        # 2 omega = x^2 (T^2/2 - lambda^2) with one linear neuron from rest
        expected = x**2 * (0.5 - lam**2) / 2
        return [
            Check.close(
                self.name, "bound of the inertia that the refusal names", expected, found, 1e-3,
                "closed form of one linear neuron from rest", "inertia 0.5, x = 2",
            )
        ]  # fmt: skip


@dataclass(frozen=True)
class lost_constants:
    """The four ranks of the model's network, each against a matrix made another way.

    Arguments:
        times: at which R1 is taken.  tolerance: of its numerical rank.
    """

    times: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0)
    tolerance: float = 1e-3
    name: str = "rank loss"

    def applies(self, model: Any) -> str | None:
        return _quadratic(model)

    def run(self, context: Context) -> list[Check]:
        model, hand = context.model, _Hand.of(context.model)
        w, y0 = np.asarray(model.state["weights"], float), np.asarray(model.state["y"], float)
        n, lam = y0.size, hand.numbers[hand.h.relaxation]
        ranks, logs, gap = [], [], 0.0
        for time in self.times:
            r1 = rank_report(hand.h, weights=w, time=time, inputs=hand.inputs, y0=y0, tolerance=self.tolerance).R1
            ranks.append(r1.rank)
            logs.append(np.log10(r1.singular_values / r1.singular_values[0]))

            def motion(_: float, s: np.ndarray) -> np.ndarray:
                y = s[:n]
                columns = [hand.rate(y + 1e-30j * e, w).imag / 1e-30 for e in np.eye(n)]
                jacobian = np.array(columns).T
                flow = jacobian @ s[n : n + n * n].reshape(n, n)
                return np.concatenate([hand.rate(y, w), flow.ravel(), [np.trace(jacobian)]]) / lam

            start = np.concatenate([y0, np.eye(n).ravel(), [0.0]])
            end = solve_ivp(motion, (0, time), start, method="DOP853", rtol=1e-11, atol=1e-14).y[:, -1]
            gap = max(gap, abs(np.linalg.slogdet(r1.matrix)[1] + end[-1]) / max(1.0, abs(end[-1])))
            singular = np.linalg.svd(end[n:-1].reshape(n, n))[1]
            expected = int(np.sum(singular[-1] / singular > self.tolerance))
            if expected != ranks[-1]:
                gap = float("inf")
        source = "J = alpha.phi(y, t) - int E: det J_{alpha q} = exp(-int div F)"
        rows = [
            Check.below(self.name, "R1: log det against minus the integral of div F, ranks alike", gap, 1e-6, source,
                        f"ranks {ranks} at t = {list(self.times)}, tolerance {self.tolerance:g}"),
        ]  # fmt: skip
        context.figures.append({
            "kind": "trace", "name": "singular_values", "t": np.array(self.times),
            "curves": {f"{k + 1}": np.array(logs)[:, k] for k in range(1, n)}, "xlabel": "t",
            "ylabel": "log10 of singular value over the largest",
            "caption": "R1: singular values of the complete integral; below the tolerance a constant is lost.",
            "alt": "Relative singular values of J_alpha q fall with time.",
        })  # fmt: skip
        fixed = rank_report(hand.h, weights=w, time=0.5, inputs=hand.inputs, fixed=[0]).R1
        rows.append(
            Check.close(self.name, "R1: rank with one constant fixed", n - 1, fixed.rank, 0, "incomplete integral")
        )
        r4 = rank_report(hand.h).R4
        rows.append(Check.close(self.name, "R4: corank of H_pp", n, r4.deficiency, 0, "H is linear in the costates"))
        return [*rows, *self._learning(hand, w), self._gauge()]

    def _learning(self, hand: _Hand, w: np.ndarray) -> list[Check]:
        net, moving = hand.h.network, np.flatnonzero(hand.h.moving.ravel())

        def gradient(flat: np.ndarray) -> np.ndarray:
            return hand.backpropagated(flat.reshape(w.shape)).ravel()[moving]

        rows = []
        for at in moving:
            unit = np.zeros(w.size)
            unit[at] = 1e-4
            rows.append((gradient(w.ravel() + unit) - gradient(w.ravel() - unit)) / 2e-4)
        hessian = (np.array(rows) + np.array(rows).T) / 2
        curvature = float(np.linalg.eigvalsh(hessian)[-1])
        inputs, target = hand.inputs[None] if hand.inputs.size else None, hand.h.target[None]
        cost = QuadraticCost(hand.h.weight, decay=hand.numbers[hand.h.decay])

        def smallest(inertia: float) -> Any:
            return rank_report(
                net, weights=w, inputs=inputs, targets=target, cost=cost, inertia=inertia, duration=1.0,
                free=hand.h.moving.astype(float), tolerance=1e-5,
            ).R2  # fmt: skip

        there, beside = smallest(curvature / 2), smallest(curvature / 2 * 1.2)
        source = "D = 1 - eta Hess E_ss"
        return [
            Check.close(
                self.name, "R2: deficiency where eta = 1/h", 1, there.deficiency, 0, source, f"h = {curvature:.6g}"
            ),
            Check.close(self.name, "R2: deficiency elsewhere", 0, beside.deficiency, 0, source, "eta = 1/(1.2 h)"),
        ]

    def _gauge(self) -> Check:
        a, b, c = sp.symbols("w_1 w_2 w_3", real=True)
        found = rank_report(cost=(a * b - 1) ** 2 + c**2, weights={a: 2, b: sp.Rational(1, 2), c: 0}).constraints
        good = len(found.first_class) == 1 and len(found.second_class) == 4
        return Check(
            self.name, "first- and second-class constraints of C = (w1 w2 - 1)^2 + w3^2", "1, 4",
            f"{len(found.first_class)}, {len(found.second_class)}", None, PASS if good else FAIL,
            "P. A. M. Dirac, Lectures on Quantum Mechanics (1964)",
        )  # fmt: skip
