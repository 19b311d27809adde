"""The compiled driver: one function for every explicit tableau, every model and every parameter.

The right-hand side comes in as a first-class function, so a new model compiles nothing here. The state of the
integration lives in the arrays `scalars` and `counts`, so that the driver returns to Python after a number of steps and
goes on where it was. Importing this module compiles it or loads it from numba's cache: see `problem.driver`.

    scalars   t, step of the next attempt
    counts    status, accepted, rejected, evaluations, next stop, next output, first slope known, fixed steps left,
              last attempt rejected
"""

import numpy as np
from numba import njit, types

RUNNING, DONE, STEP_TOO_SMALL, NON_FINITE = 0, 1, 2, 3
T, STEP = 0, 1
STATUS, ACCEPTED, REJECTED, EVALUATIONS, STOP, OUTPUT, SLOPE, LEFT, RETRY = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Entries of a block of the state that stays in the first-level cache while all stages pass over it.
BLOCK = 512

_number, _integer = types.float64, types.int64
_vector, _matrix, _cube = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
KERNEL = types.FunctionType(types.void(_number, _vector, _vector, _vector, types.int64[::1], _vector, _vector))


@njit(types.void(_vector, _cube, _number, _number, _vector), cache=True, error_model="numpy")
def fill_external(breaks, pieces, t, inside, ext):
    """Values at t of piecewise polynomials; at a break, those of the piece on the side of `inside`."""
    if ext.size == 0:
        return
    last = breaks.size - 2
    at = np.searchsorted(breaks, t) - 1
    if at < last and t == breaks[at + 1] and inside > t:
        at += 1
    at = min(max(at, 0), last)
    x = t - breaks[at]
    degree = pieces.shape[1]
    for channel in range(ext.size):
        value = pieces[at, degree - 1, channel]
        for power in range(degree - 2, -1, -1):
            value = value * x + pieces[at, power, channel]
        ext[channel] = value


@njit(
    types.void(_vector, _matrix, _vector, _integer, _number, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def combine(y, slopes, weights, count, h, target):
    """target = y + h sum_s weights[s] slopes[s], block by block so that every slope is read from memory once."""
    for start in range(0, y.size, BLOCK):
        stop = min(start + BLOCK, y.size)
        for i in range(start, stop):
            target[i] = 0.0
        for s in range(count):
            weight = weights[s]
            if weight != 0.0:
                for i in range(start, stop):
                    target[i] += weight * slopes[s, i]
        for i in range(start, stop):
            target[i] = y[i] + h * target[i]


@njit(
    types.float64(_vector, _vector, _matrix, _vector, _vector, _integer, _number, _number, _number),
    cache=True,
    error_model="numpy",
)
def error_ratio(y, new, slopes, error5, error3, count, h, rtol, atol):
    """The error estimate of a step over its tolerance; NaN where anything is not finite."""
    high, low = 0.0, 0.0
    for i in range(y.size):
        scale = atol + rtol * max(abs(y[i]), abs(new[i]))
        five, three = 0.0, 0.0
        for s in range(count):
            five += error5[s] * slopes[s, i]
            three += error3[s] * slopes[s, i]
        if not (abs(new[i]) <= 1.7e308):
            return np.nan
        high += (five / scale) ** 2
        low += (three / scale) ** 2
    if high == 0.0 and low == 0.0:
        return 0.0
    return abs(h) * high / np.sqrt((high + 0.01 * low) * y.size)


@njit(types.float64(_vector, _vector, _vector, _vector, _number, _number, _number, _number), cache=True)
def first_step(y, slope, other, new_slope, h, order, rtol, atol):
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
    types.void(
        KERNEL, _vector, _vector, _matrix, _vector, _vector, _cube, _vector, _vector, types.int64[::1], _vector,
        _vector, _matrix, _matrix, _vector, _matrix, _number, _number, _number, types.int64[::1],
    ),
    cache=True,
    error_model="numpy",
)  # fmt: skip
def dense_output(
    rhs, y, new, slopes, spare, breaks, pieces, ext, par, dims, work, times, outputs, a, c, dense, t, after, h, counts
):
    """The requested times strictly inside a step, by the polynomial of degree 7; three further stages, if any."""
    ready = False
    while counts[OUTPUT] < times.size and (after - times[counts[OUTPUT]]) * h > 0.0:
        if not ready:
            for s in range(13, 16):
                combine(y, slopes, a[s], s, h, spare)
                fill_external(breaks, pieces, t + c[s] * h, t + 0.5 * h, ext)
                rhs(t + c[s] * h, spare, ext, par, dims, work, slopes[s])
            counts[EVALUATIONS] += 3
            ready = True
        x = (times[counts[OUTPUT]] - t) / h
        row = outputs[counts[OUTPUT]]
        for i in range(y.size):
            change = new[i] - y[i]
            first = h * slopes[0, i] - change
            second = 2.0 * change - h * (slopes[12, i] + slopes[0, i])
            total = 0.0
            for m in range(3, -1, -1):
                part = 0.0
                for s in range(16):
                    part += dense[m, s] * slopes[s, i]
                total = (total + h * part) * (x if m % 2 == 1 else 1.0 - x)
            total = (total + second) * x
            total = (total + first) * (1.0 - x)
            row[i] = y[i] + (total + change) * x
        counts[OUTPUT] += 1


@njit(
    types.void(
        KERNEL, _vector, _matrix, _vector, _vector,  # rhs, y, slopes, new, spare
        _vector, _cube, _vector, _vector, types.int64[::1], _vector,  # breaks, pieces, ext, par, dims, work
        _vector, types.int64[::1], _vector, _matrix,  # stops, recorded, times, outputs
        _matrix, _vector, _vector, _vector, _vector, _matrix,  # a, b, c, error5, error3, dense
        _number, _number, _number, _integer,  # rtol, atol, step, budget
        _vector, types.int64[::1],  # scalars, counts
    ),
    cache=True,
    error_model="numpy",
)  # fmt: skip
def advance(
    rhs, y, slopes, new, spare, breaks, pieces, ext, par, dims, work, stops, recorded, times, outputs,
    a, b, c, error5, error3, dense, rtol, atol, step, budget, scalars, counts,
):  # fmt: skip
    """Take at most `budget` steps towards the last stop; outputs between stops come from the dense output.

    `stops` are times at which a step has to end; recorded[n] >= 0 is the output that is the state at stop n.
    """
    stages = 12 if error5.any() else 4
    adaptive = stages == 12
    order = 8.0
    for _ in range(budget):
        if counts[STOP] == stops.size:
            counts[STATUS] = DONE
            return
        t, stop = scalars[T], stops[counts[STOP]]
        sign = 1.0 if stop >= t else -1.0
        distance = abs(stop - t)
        if counts[SLOPE] == 0:
            fill_external(breaks, pieces, t, stop, ext)
            rhs(t, y, ext, par, dims, work, slopes[0])
            counts[EVALUATIONS] += 1
            counts[SLOPE] = 1
            if not adaptive:
                counts[LEFT] = max(1, int(np.ceil(distance / step * (1.0 - 1e-12))))
            elif scalars[STEP] == 0.0:
                h = min(first_step(y, slopes[0], new, slopes[0], 0.0, order, rtol, atol), distance)
                combine(y, slopes, b[:1] * 0.0 + 1.0, 1, sign * h, new)
                fill_external(breaks, pieces, t + sign * h, t, ext)
                rhs(t + sign * h, new, ext, par, dims, work, slopes[1])
                counts[EVALUATIONS] += 1
                guess = first_step(y, slopes[0], new, slopes[1], h, order, rtol, atol)
                scalars[STEP] = guess if guess > 0.0 else 1e-6 * distance
        h = distance / counts[LEFT] if not adaptive else min(scalars[STEP], distance)
        # A sliver of a step before a stop would waste twelve evaluations: stretch or halve instead.
        if adaptive and h < distance < 1.01 * h:
            h = distance
        last = h == distance
        if adaptive and not last and h <= 16.0 * 2.2e-16 * max(abs(t), abs(stop)):
            counts[STATUS] = STEP_TOO_SMALL
            return
        after = stop if last else t + sign * h
        middle = t + 0.5 * sign * h
        for s in range(1, stages):
            combine(y, slopes, a[s], s, sign * h, new)
            at = after if c[s] == 1.0 else t + c[s] * sign * h
            fill_external(breaks, pieces, at, middle, ext)
            rhs(at, new, ext, par, dims, work, slopes[s])
        counts[EVALUATIONS] += stages - 1
        combine(y, slopes, b, stages, sign * h, new)
        if adaptive:
            fill_external(breaks, pieces, after, middle, ext)
            rhs(after, new, ext, par, dims, work, slopes[stages])
            counts[EVALUATIONS] += 1
            ratio = error_ratio(y, new, slopes, error5, error3, stages + 1, h, rtol, atol)
            if not ratio < 1.0:
                if ratio != ratio and h <= 1e-12 * max(1.0, abs(t)):
                    counts[STATUS] = NON_FINITE
                    return
                counts[REJECTED] += 1
                counts[RETRY] = 1
                scalars[STEP] = h * (max(0.333, 0.9 * ratio**-0.125) if ratio == ratio else 0.1)
                continue
            growth = 6.0 if ratio == 0.0 else min(6.0, max(0.333, 0.9 * ratio**-0.125))
            if counts[RETRY] == 1:
                growth = min(1.0, growth)
            counts[RETRY] = 0
            # The stop, not the error, may have shortened this step: then the earlier length is kept.
            scalars[STEP] = max(scalars[STEP], h * growth) if last else h * growth
            dense_output(
                rhs, y, new, slopes, spare, breaks, pieces, ext, par, dims, work, times, outputs,
                a, c, dense, t, after, sign * h, counts,
            )  # fmt: skip
        else:
            finite = 0.0
            for i in range(y.size):
                finite += 0.0 * new[i]
            if finite != 0.0:
                counts[STATUS] = NON_FINITE
                return
        counts[ACCEPTED] += 1
        scalars[T] = after
        for i in range(y.size):
            y[i] = new[i]
        if last:
            if recorded[counts[STOP]] >= 0:
                outputs[recorded[counts[STOP]], :] = y
                counts[OUTPUT] = recorded[counts[STOP]] + 1
            counts[STOP] += 1
            counts[SLOPE] = 0
        elif adaptive:
            slopes[0, :] = slopes[stages]
        else:
            counts[LEFT] -= 1
            fill_external(breaks, pieces, after, stop, ext)
            rhs(after, y, ext, par, dims, work, slopes[0])
            counts[EVALUATIONS] += 1
    if counts[STOP] == stops.size:
        counts[STATUS] = DONE
