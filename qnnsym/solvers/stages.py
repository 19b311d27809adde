"""What a step is made of: combinations of slopes, its error, its interpolant, crossings, and the test of stiffness.

Compiled when imported, as `stepping` is, and for any number of components; a tableau comes in as `rows`, `weights` and
`filled`, see there.
"""

import numpy as np
from numba import njit, types

_number, _integer = types.float64, types.int64
_vector, _matrix = types.float64[::1], types.float64[:, ::1]
_integers, _table = types.int64[::1], types.int64[:, ::1]
# Where the combinations of the dense output stand behind those of the stages.
DENSE = 3


@njit(
    types.void(_vector, _number, _matrix, _table, _matrix, _integers, _integer, _number, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract", "reassoc"},
)
def combine(y, keep, slopes, rows, weights, filled, line, h, target):
    """target = keep y + h sum_s weights[line, s] slopes[rows[line, s]], four slopes in a pass over memory.

    Beyond filled[line], rows and weights go on with row 0 and weight 0. Entries are indexed and no views taken, whose
    reference counts would cost more than a short state; more slopes in a pass help long states by a tenth, and setting
    them up costs short ones a half.
    """
    n = y.size
    a, b, c, d = h * weights[line, 0], h * weights[line, 1], h * weights[line, 2], h * weights[line, 3]
    ra, rb, rc, rd = rows[line, 0], rows[line, 1], rows[line, 2], rows[line, 3]
    for i in range(n):
        target[i] = keep * y[i] + ((a * slopes[ra, i] + b * slopes[rb, i]) + (c * slopes[rc, i] + d * slopes[rd, i]))
    for s in range(4, filled[line], 4):
        a, b, c, d = h * weights[line, s], h * weights[line, s + 1], h * weights[line, s + 2], h * weights[line, s + 3]
        ra, rb, rc, rd = rows[line, s], rows[line, s + 1], rows[line, s + 2], rows[line, s + 3]
        for i in range(n):
            target[i] += (a * slopes[ra, i] + b * slopes[rb, i]) + (c * slopes[rc, i] + d * slopes[rd, i])


@njit(
    types.float64(_vector, _vector, _vector, _vector, _number, _number, _number),
    cache=True,
    error_model="numpy",
    fastmath={"contract", "reassoc"},
)
def error_ratio(y, new, five, three, h, rtol, atol):
    """The error of a step, estimated by `five` and `three` (slopes), over its tolerance; NaN if new is not finite."""
    high, low, finite = 0.0, 0.0, 0.0
    for i in range(y.size):
        scale = 1.0 / (atol + rtol * max(abs(y[i]), abs(new[i])))
        high += (five[i] * scale) * (five[i] * scale)
        low += (three[i] * scale) * (three[i] * scale)
        finite += 0.0 * new[i]
    if high == 0.0 and low == 0.0:
        return finite
    return abs(h) * high / np.sqrt((high + 0.01 * low) * y.size) + finite


@njit(types.float64(_vector, _vector, _vector, _number, _number, _number, _number), cache=True)
def first_step(y, slope, new_slope, h, order, rtol, atol):
    """Hairer's guess of the first step; called with h = 0 before, and with the trial step after, one trial slope."""
    d0, d1, d2 = 0.0, 0.0, 0.0
    for i in range(y.size):
        scale = atol + rtol * abs(y[i])
        d0 += (y[i] / scale) ** 2
        d1 += (slope[i] / scale) ** 2
        d2 += ((new_slope[i] - slope[i]) / scale) ** 2
    d0, d1, d2 = np.sqrt(d0 / y.size), np.sqrt(d1 / y.size), np.sqrt(d2 / y.size)
    if h == 0.0:
        return 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    d2 = d2 / h
    steep = max(d1, d2)
    guess = max(1e-6, h * 1e-3) if steep <= 1e-15 else (0.01 / steep) ** (1.0 / order)
    return min(100.0 * h, guess)


@njit(
    types.void(_vector, _vector, _matrix, _table, _matrix, _integers, _integer, _integer, _number, _matrix),
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def interpolant(y, new, slopes, rows, weights, filled, solution, last_slope, h, dense):
    """The coefficients of the polynomial of degree 7 over a step, Hairer's form, into the rows of `dense`."""
    for i in range(y.size):
        change = new[i] - y[i]
        dense[0, i] = h * slopes[0, i] - change
        dense[1, i] = 2.0 * change - h * (slopes[last_slope, i] + slopes[0, i])
    for m in range(4):
        combine(y, 0.0, slopes, rows, weights, filled, solution + DENSE + m, h, dense[2 + m])


@njit(types.void(_vector, _vector, _matrix, _number, _vector), cache=True, error_model="numpy", fastmath={"contract"})
def interpolate(y, new, dense, x, target):
    """The state at the share x of a step."""
    back = 1.0 - x
    for i in range(y.size):
        total = (dense[5, i] * x + dense[4, i]) * back + dense[3, i]
        total = ((total * x + dense[2, i]) * back + dense[1, i]) * x + dense[0, i]
        target[i] = y[i] + (total * back + (new[i] - y[i])) * x


@njit(types.int64(_vector, _vector), cache=True)
def not_finite(state, slope):
    """Index of the first component that is not finite, in the state or else in its slope; -1 if all are."""
    for vector in (state, slope):
        for i in range(vector.size):
            if not abs(vector[i]) <= 1.7976931348623157e308:
                return i
    return -1


@njit(
    types.float64(_matrix, _integer, _vector, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract", "reassoc"},
)
def height(planes, event, levels, state):
    """planes[event] . state - levels[event]."""
    total = 0.0
    for i in range(state.size):
        total += planes[event, i] * state[i]
    return total - levels[event]


@njit(
    types.float64(_vector, _vector, _matrix, _matrix, _integer, _vector, _number, _number, _vector),
    cache=True,
    error_model="numpy",
)
def crossing(y, new, dense, planes, event, levels, before, behind, scratch):
    """The share of a step at which an event's plane is crossed: regula falsi with halved weights (Illinois)."""
    low, high, at_low, at_high, side = 0.0, 1.0, before, behind, 0
    x = 1.0
    for _ in range(100):
        if high - low <= 4.0 * 2.2e-16 or at_high == 0.0:
            return high
        x = high - at_high * (high - low) / (at_high - at_low)
        if not low < x < high:
            x = 0.5 * (low + high)
        interpolate(y, new, dense, x, scratch)
        value = height(planes, event, levels, scratch)
        if value == 0.0:
            return x
        if (value < 0.0) == (before < 0.0):
            low, at_low = x, value
            at_high = 0.5 * at_high if side == 1 else at_high
            side = 1
        else:
            high, at_high = x, value
            at_low = 0.5 * at_low if side == -1 else at_low
            side = -1
    return x


@njit(types.boolean(_vector, _matrix, _integer, _number, _number), cache=True, error_model="numpy")
def at_limit(spare, slopes, stages, limit, h):
    """Whether |h times the stiff eigenvalue| exceeds the limit; `spare` is y at the end minus the last stage's."""
    above, below = 0.0, 0.0
    for i in range(spare.size):
        above += (slopes[stages, i] - slopes[stages - 1, i]) ** 2
        below += spare[i] ** 2
    return below > 0.0 and h**2 * above > limit**2 * below
