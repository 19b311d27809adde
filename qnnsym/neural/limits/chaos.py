"""What must hold for random networks: the onset of chaos, and the growth of the first correction's coefficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from qnnsym.checks.check import FAIL, PASS, Check, Context
from qnnsym.neural.chaos import lyapunov_exponents, random_network

SOMPOLINSKY = "H. Sompolinsky, A. Crisanti, H. J. Sommers, Phys. Rev. Lett. 61 (1988) 259"


@dataclass(frozen=True)
class onset:
    """The largest exponent is negative below gain 1, where it is that of the point of rest, and positive far above.

    Rest loses its stability at g = 1, up to the fluctuation of the largest eigenvalue of N x N normal numbers. For N to
    infinity chaos sets in there; one network of a hundred neurons often has a cycle first, with exponent near zero or
    below, up to g = 2 and more, so that the place of its onset is shown and not checked.

    Arguments:
        neurons: N.  gains: g.  seed: of the weights.
    """

    neurons: int = 100
    gains: tuple[float, ...] = (0.5, 0.7, 0.9, 1.1, 1.5, 2.0, 3.0, 4.0)
    seed: int = 1
    name: str = "onset of chaos"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        found, linear = [], 0.0
        for gain in self.gains:
            net, w = random_network(self.neurons, gain, self.seed)
            result = lyapunov_exponents(net, w, number=1, duration=120, transient=80, step=0.1, every=2)
            found.append((result[0], result.uncertainty[0]))
            edge = float(np.linalg.eigvals(w[:, 1:]).real.max()) - 1
            if edge < -0.05:
                linear = max(linear, abs(result[0] - edge))
        values = np.array(found)
        context.figures.append({
            "kind": "trace", "name": "onset", "t": np.array(self.gains), "curves": {"largest exponent": values[:, 0]},
            "xlabel": "gain g", "ylabel": "exponent (1/lambda)",
            "caption": f"Largest Lyapunov exponent of random tanh networks, N = {self.neurons}.",
            "alt": "The largest exponent rises with the gain and crosses zero above g = 1.",
        })  # fmt: skip
        below = max(v for g, v in zip(self.gains, values[:, 0], strict=True) if g < 0.95)
        top, error = values[-1]
        at_rest = np.array(self.gains) < 0.95
        slope, offset = np.polyfit(np.array(self.gains)[at_rest], values[at_rest, 0], 1)
        return [
            Check.close(self.name, "gain at which rest loses its stability", 1.0, float(-offset / slope),
                        2 / np.sqrt(self.neurons), SOMPOLINSKY, "zero of the line through exponents for g < 0.95"),
            Check.below(self.name, "exponent below g = 1 against the eigenvalues of the weights", linear, 2e-2,
                        "linear stability of y = 0"),
            Check(
                self.name, "largest exponent for g < 0.95", "negative", float(below), None, PASS if below < 0 else FAIL,
                SOMPOLINSKY,
            ),
            Check(self.name, f"largest exponent at g = {self.gains[-1]:g}", "positive by 3 errors", float(top), None,
                  PASS if top > 3 * error else FAIL, SOMPOLINSKY, f"standard error {error:.2g}"),
        ]  # fmt: skip


@dataclass(frozen=True)
class correction_growth:
    """D_k, the operator in the hbar^2 term, grows along the flow with the largest exponent.

    d/dDelta(t) is (dy(t)/dy(0)) d/dDelta(0) along the flow, so that D_k is the row W_k dy(t)/dy(0): three of them stand
    in the first correction.

    Arguments:
        neurons: N.  gains: a regular and a chaotic one.  span: time over which growth is measured.
    """

    neurons: int = 60
    gains: tuple[float, float] = (0.5, 5.0)
    span: float = 60.0
    seed: int = 1
    name: str = "growth of the hbar^2 term"

    def applies(self, model: Any) -> str | None:
        return None

    def run(self, context: Context) -> list[Check]:
        rows, curves, times = [], {}, np.linspace(0, self.span, 81)
        for gain, kind in zip(self.gains, ("regular", "chaotic"), strict=True):
            net, w = random_network(self.neurons, gain, self.seed)
            attractor = lyapunov_exponents(net, w, number=1, duration=40, transient=120, step=0.1, every=2)
            logs = self._sizes(w[:, 1:], times, attractor.state)
            curves[f"{kind}, g = {gain:g}"] = 3 * logs / np.log(10)
            # The same stretch of the same trajectory: an average over another one would differ by as much as it is.
            began = self.span / 4
            exponent = lyapunov_exponents(
                net, w, number=1, y0=attractor.state, transient=began, duration=self.span - began, step=0.05, every=2
            )
            first = int(np.searchsorted(times, began))
            slope = float((logs[-1] - logs[first]) / (times[-1] - times[first]))
            # At either end |D_k| differs from the leading direction's length by a factor that does not grow.
            tolerance = 3 / (self.span - began)
            rows.append(
                Check.close(
                    self.name, f"rate of growth of D_k, {kind} flow", float(exponent[0]), slope, tolerance,
                    "chain rule; A. T. Patrascu, arXiv:2209.07577", f"g = {gain:g}, t = {began:g} to {self.span:g}",
                )
            )  # fmt: skip
        context.figures.append({
            "kind": "trace", "name": "growth", "t": times, "curves": curves, "xlabel": "t (units of lambda)",
            "ylabel": "log10 of |D_k|^3", "caption": "Growth of the coefficient of the hbar^2 term along the flow.",
            "alt": "The coefficient decays in the regular network and grows in the chaotic one.",
        })  # fmt: skip
        return rows

    def _sizes(self, w: np.ndarray, times: np.ndarray, y0: np.ndarray) -> np.ndarray:
        """log |W dy(t)/dy(0)| by SciPy on the equations written by hand."""
        n, few = len(w), 6
        v = np.random.default_rng(0).normal(size=(n, few))

        def motion(_: float, s: np.ndarray) -> np.ndarray:
            f = np.tanh(w @ s[:n])
            directions = s[n:].reshape(n, few)
            return np.concatenate([f - s[:n], ((1 - f**2)[:, None] * (w @ directions) - directions).ravel()])

        run = solve_ivp(motion, (0, times[-1]), np.concatenate([y0, v.ravel()]), t_eval=times, method="DOP853",
                        rtol=1e-9, atol=1e-40)  # fmt: skip
        return np.array([np.log(np.linalg.norm(w @ s[n:].reshape(n, few))) for s in run.y.T])
