"""An oracle for the causal and frozen readings: the method of steps by Taylor series in mpmath, to 30 digits and more.

Every epoch has the same mesh, so that a lagged series is that of the same interval one epoch earlier: nothing is ever
interpolated. The formulas are those of the equations as they stand on paper, neuron by neuron, with every past momentum
in the sum; no derived equation, no kernel and no driver takes part.

Source: A. Bellen, M. Zennaro, Numerical Methods for Delay Differential Equations (2003), section 3.1; A. Jorba, M. Zou,
Experimental Mathematics 14 (2005) 99, for Taylor series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath

# f as a series from that of u: f' = slope(f) u', where slope is a polynomial in f: (constant, linear, quadratic).
SLOPES: Mapping[str, tuple[int, int, int]] = {"tanh": (1, 0, -1), "logistic": (0, 1, -1), "linear": (1, 0, 0)}

Series = list


def method_of_steps(
    network: Mapping[str, Any],
    histories: tuple[Callable[[Any, int], list], Callable[[Any, int], list]],
    y0: Sequence[Any],
    costate0: Sequence[Any],
    epochs: int,
    *,
    intervals: int = 8,
    order: int = 30,
    digits: int = 34,
    reading: str = "causal",
) -> list[dict[str, Any]]:
    """States at the ends of all intervals, from t = 0.

    Arguments:
        network: activation (a name), relaxation, inertia, delay, weight (c), target (d), decay (mu), inputs (numbers),
            mask and moving (rows of 0 and 1), sign.
        histories: (weights, momenta): (t, order) -> [k][j] Taylor series at t, for t within [-T, 0].
        y0, costate0: N numbers.
        epochs: number of epochs.
        intervals: per epoch.  order: of the series.  digits: working precision.
        reading: "causal" or "frozen".

    Returns:
        A list of {"t", "y", "costate", "weights", "momenta"}.
    """
    with mpmath.workdps(digits):
        return _steps(network, histories, y0, costate0, epochs, intervals, order, reading)


def _steps(net: Mapping[str, Any], histories: Any, y0: Any, costate0: Any, epochs: int, intervals: int, order: int,
           reading: str) -> list[dict[str, Any]]:  # fmt: skip
    mpf = mpmath.mpf
    delay = mpf(net["delay"])
    h = delay / intervals
    past_w = [histories[0](-delay + i * h, order) for i in range(intervals)]
    past_m = [[histories[1](-delay + i * h, order) for i in range(intervals)]]
    state = {
        "y": [mpf(v) for v in y0],
        "costate": [mpf(v) for v in costate0],
        "weights": [[_at(s, h) for s in row] for row in past_w[-1]],
        "momenta": [[_at(s, h) for s in row] for row in past_m[0][-1]],
    }
    found: list[dict[str, Any]] = [{"t": mpf(0), **state}]
    for epoch in range(epochs):
        weights, momenta = [], []
        for i in range(intervals):
            earlier = [past[i] for past in past_m] if reading == "causal" else []
            series = _interval(net, state, past_w[i], earlier, order, reading)
            weights.append(series["weights"])
            momenta.append(series["momenta"])
            state = {
                name: [_at(s, h) for s in part] if name in ("y", "costate") else [[_at(s, h) for s in r] for r in part]
                for name, part in series.items()
            }
            found.append({"t": epoch * delay + (i + 1) * h, **state})
        past_w = weights
        past_m.append(momenta)
    return found


def _interval(net: Mapping[str, Any], state: Mapping[str, list], delayed: list, earlier: list, order: int,
              reading: str) -> dict[str, list]:  # fmt: skip
    """Taylor series of one interval, order by order."""
    mpf = mpmath.mpf
    lam, omega, mu, sign = (mpf(net[k]) for k in ("relaxation", "inertia", "decay", "sign"))
    neurons, inputs = len(state["y"]), len(net["inputs"])
    rows, columns = range(neurons), range(inputs + 1 + neurons)
    mask, moving = net["mask"], net["moving"]
    constant, linear, quadratic = SLOPES[net["activation"]]
    y = [[v] for v in state["y"]]
    d = [[v] for v in state["costate"]]
    w = [[[v] for v in row] for row in state["weights"]]
    m = [[[v] for v in row] for row in state["momenta"]]
    z: list[Series] = [[mpf(v)] for v in net["inputs"]] + [[mpf(1)]] + y
    u: list[Series] = [[] for _ in rows]
    f: list[Series] = [[] for _ in rows]
    slope: list[Series] = [[] for _ in rows]
    local: list[Series] = [[] for _ in rows]  # Delta_k f'_k
    start = {"tanh": mpmath.tanh, "logistic": lambda v: 1 / (1 + mpmath.exp(-v)), "linear": lambda v: v}
    for p in range(order):
        for k in rows:
            u[k].append(mpmath.fsum(mask[k][j] * _product(delayed[k][j], z[j], p) for j in columns if mask[k][j]))
            if p == 0:
                f[k].append(start[net["activation"]](u[k][0]))
            else:
                f[k].append(mpmath.fsum((q + 1) * u[k][q + 1] * slope[k][p - 1 - q] for q in range(p)) / p)
            slope[k].append(
                (constant if p == 0 else 0) + linear * f[k][p] + quadratic * _product(f[k], f[k], p)
            )
            local[k].append(_product(d[k], slope[k], p))
        new_y, new_d = [], []
        for k in rows:
            new_y.append((f[k][p] - y[k][p]) / lam / (p + 1))
            back = mpmath.fsum(
                mask[i][inputs + 1 + k] * _product(local[i], delayed[i][inputs + 1 + k], p) for i in rows
            )
            force = mpf(net["weight"][k]) * (y[k][p] - (mpf(net["target"][k]) if p == 0 else 0))
            new_d.append((d[k][p] / lam - back / lam - force) / (p + 1))
        for k in rows:
            for j in columns:
                past = mpmath.fsum(e[k][j][p] for e in earlier)
                learning = _product(local[k], z[j], p) / lam if reading == "causal" else 0
                w_next = moving[k][j] * sign * (m[k][j][p] + past) / omega / (p + 1)
                m_next = moving[k][j] * (-learning - mu * w[k][j][p]) / (p + 1)
                w[k][j].append(w_next)
                m[k][j].append(m_next)
        for k in rows:
            y[k].append(new_y[k])
            d[k].append(new_d[k])
        for j in range(inputs + 1):
            z[j].append(mpf(0))
    return {"y": y, "costate": d, "weights": w, "momenta": m}


def _product(a: Series, b: Series, p: int) -> Any:
    """Coefficient p of the product of two series."""
    return mpmath.fsum(a[q] * b[p - q] for q in range(p + 1))


def _at(series: Series, h: Any) -> Any:
    return mpmath.polyval(series[::-1], h)


def polynomial_history(pieces: Any, breaks: Any, shape: tuple[int, int], channel: int) -> Callable[[Any, int], list]:
    """A history given by polynomials, as `method_of_steps` reads it.

    Arguments:
        pieces, breaks: of a `PiecewisePolynomial`.
        shape: (N, columns).
        channel: where its rows begin among the channels.
    """

    def series(t: Any, order: int) -> list:
        passed = sum(1 for b in breaks if mpmath.mpf(float(b)) <= t + mpmath.mpf(10) ** -13)
        at = max(0, min(len(pieces) - 1, passed - 1))
        by = t - mpmath.mpf(float(breaks[at]))
        rows = []
        for k in range(shape[0]):
            row = []
            for j in range(shape[1]):
                c = [mpmath.mpf(float(v)) for v in pieces[at, :, channel + k * shape[1] + j]]
                moved = [
                    mpmath.fsum(mpmath.binomial(q, p) * c[q] * by ** (q - p) for q in range(p, len(c)))
                    for p in range(len(c))
                ]
                row.append((moved + [mpmath.mpf(0)] * (order + 1))[: order + 1])
            rows.append(row)
        return rows

    return series
