"""The compiled driver for eight trajectories at a time, one in each lane of a vector register.

Every lane has its own time, step, error norm and outputs, and does what `stepping.advance` does with one trajectory:
it takes the same steps, up to rounding, and fails by itself. A lane whose trajectory has ended takes the next one that
waits. Kernels are those of `codegen.lanes`; arrays hold entry i of lane q at 8*i + q. Importing this module compiles it
or loads it from numba's cache: see `problem.driver`.

    rows, weights, filled, c, stages, solution
              the tableau, as in `stepping`; slopes and dense are flat, one vector after the other
    breaks, pieces, stops, recorded, times
              signals, stops and outputs, which all trajectories share
    halt      not zero when the user interrupts: nothing further is begun or finished
"""

import math

import numpy as np
from numba import njit, types

from qnnsym.solvers.stages import DENSE, first_step
from qnnsym.solvers.stepping import (
    DONE,
    ERROR3,
    ERROR5,
    NON_FINITE,
    RUNNING,
    SOLUTION,
    STEP_TOO_SMALL,
    fill_external,
    kernel_at,
)
from qnnsym.solvers.vectors import LANES, chosen, larger, wide

_number, _integer = types.float64, types.int64
_vector, _matrix, _cube = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_integers, _table = types.int64[::1], types.int64[:, ::1]
_ORDER = 8.0


@njit(
    types.void(_vector, _number, _vector, _table, _matrix, _integers, _integer, _vector, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract", "reassoc"},
)
def combine(y, keep, slopes, rows, weights, filled, line, h, target):
    """target = keep y + h sum_s weights[line, s] slopes[rows[line, s]] with a step for each lane; see `stages`."""
    y, slopes, target, step = wide(y), wide(slopes), wide(target), wide(h)[0]
    n, count = y.size, filled[line]
    a, b, c, d = weights[line, 0], weights[line, 1], weights[line, 2], weights[line, 3]
    ra, rb, rc, rd = rows[line, 0] * n, rows[line, 1] * n, rows[line, 2] * n, rows[line, 3] * n
    if count <= 4:
        for i in range(n):
            first = (a * slopes[ra + i] + b * slopes[rb + i]) + (c * slopes[rc + i] + d * slopes[rd + i])
            target[i] = keep * y[i] + step * first
        return
    e, f, g, o = weights[line, 4], weights[line, 5], weights[line, 6], weights[line, 7]
    re, rf, rg, ro = rows[line, 4] * n, rows[line, 5] * n, rows[line, 6] * n, rows[line, 7] * n
    for i in range(n):
        first = (a * slopes[ra + i] + b * slopes[rb + i]) + (c * slopes[rc + i] + d * slopes[rd + i])
        second = (e * slopes[re + i] + f * slopes[rf + i]) + (g * slopes[rg + i] + o * slopes[ro + i])
        target[i] = keep * y[i] + step * (first + second)
    for s in range(8, count, 4):
        a, b, c, d = weights[line, s], weights[line, s + 1], weights[line, s + 2], weights[line, s + 3]
        ra, rb, rc, rd = rows[line, s] * n, rows[line, s + 1] * n, rows[line, s + 2] * n, rows[line, s + 3] * n
        for i in range(n):
            first = (a * slopes[ra + i] + b * slopes[rb + i]) + (c * slopes[rc + i] + d * slopes[rd + i])
            target[i] += step * first


@njit(
    types.void(_vector, _vector, _vector, _table, _matrix, _integer, _vector, _number, _number, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract", "reassoc"},
)
def error_ratios(y, new, slopes, rows, weights, solution, h, rtol, atol, ratios):
    """The error of each lane's step over its tolerance, see `stages.error_ratio`; NaN where new is not finite.

    Both estimates take the same eight slopes: one pass over memory does for them and their norms.
    """
    y, new, slopes, step, ratios = wide(y), wide(new), wide(slopes), wide(h)[0], wide(ratios)
    n, five, three = y.size, solution + ERROR5, solution + ERROR3
    ra, rb, rc, rd = rows[five, 0] * n, rows[five, 1] * n, rows[five, 2] * n, rows[five, 3] * n
    re, rf, rg, ro = rows[five, 4] * n, rows[five, 5] * n, rows[five, 6] * n, rows[five, 7] * n
    a, b, c, d = weights[five, 0], weights[five, 1], weights[five, 2], weights[five, 3]
    e, f, g, o = weights[five, 4], weights[five, 5], weights[five, 6], weights[five, 7]
    p, q, r, s = weights[three, 0], weights[three, 1], weights[three, 2], weights[three, 3]
    u, v, w, x = weights[three, 4], weights[three, 5], weights[three, 6], weights[three, 7]
    high, low, finite = 0.0, 0.0, 0.0
    for i in range(n):
        ka, kb, kc, kd = slopes[ra + i], slopes[rb + i], slopes[rc + i], slopes[rd + i]
        ke, kf, kg, ko = slopes[re + i], slopes[rf + i], slopes[rg + i], slopes[ro + i]
        scale = 1.0 / (atol + rtol * larger(abs(y[i]), abs(new[i])))
        above = scale * (((a * ka + b * kb) + (c * kc + d * kd)) + ((e * ke + f * kf) + (g * kg + o * ko)))
        below = scale * (((p * ka + q * kb) + (r * kc + s * kd)) + ((u * ke + v * kf) + (w * kg + x * ko)))
        high += above * above
        low += below * below
        finite += 0.0 * new[i]
    # The smallest normal number keeps a lane without any error at 0, not 0/0.
    ratios[0] = abs(step) * high / math.sqrt((high + 0.01 * low) * float(n) + 2.3e-308) + finite


@njit(types.void(_vector, _vector, _vector), cache=True)
def take(where, source, target):
    """target = source in the lanes in which `where` is not zero."""
    source, target, mask = wide(source), wide(target), wide(where)[0]
    for i in range(target.size):
        target[i] = chosen(mask, source[i], target[i])


@njit(
    types.void(_vector, _vector, _vector, _table, _matrix, _integers, _integer, _integer, _vector, _vector),
    cache=True,
    error_model="numpy",
    fastmath={"contract"},
)
def interpolant(y, new, slopes, rows, weights, filled, solution, last_slope, h, dense):
    """The coefficients of the polynomial of degree 7 over each lane's step, see `stages.interpolant`."""
    n = y.size
    for m in range(4):
        combine(y, 0.0, slopes, rows, weights, filled, solution + DENSE + m, h, dense[(2 + m) * n : (3 + m) * n])
    y, new, slopes, dense, step = wide(y), wide(new), wide(slopes), wide(dense), wide(h)[0]
    n, last = y.size, last_slope * y.size
    for i in range(n):
        change = new[i] - y[i]
        dense[i] = step * slopes[i] - change
        dense[n + i] = 2.0 * change - step * (slopes[last + i] + slopes[i])


@njit(types.void(_vector, _vector, _vector, _vector, _vector), cache=True, error_model="numpy", fastmath={"contract"})
def interpolate(y, new, dense, shares, target):
    """The state at a share of each lane's step."""
    y, new, dense, target, x = wide(y), wide(new), wide(dense), wide(target), wide(shares)[0]
    n = y.size
    back = 1.0 - x
    for i in range(n):
        total = (dense[5 * n + i] * x + dense[4 * n + i]) * back + dense[3 * n + i]
        total = ((total * x + dense[2 * n + i]) * back + dense[n + i]) * x + dense[i]
        target[i] = y[i] + (total * back + (new[i] - y[i])) * x


@njit(types.void(_vector, _cube, _vector, _vector, _vector, _vector), cache=True, error_model="numpy")
def signals(breaks, pieces, at, inside, scratch, ext):
    """Each lane's signals at its time, on the side of `inside`, and the time itself, which stands last."""
    channels = scratch.size
    for q in range(LANES):
        ext[channels * LANES + q] = at[q]
    if breaks.size == 2 and pieces.shape[1] == 1:  # constant, and written at the beginning
        return
    for q in range(LANES):
        fill_external(breaks, pieces, at[q], inside[q], scratch)
        for channel in range(channels):
            ext[channel * LANES + q] = scratch[channel]


@njit(types.float64(_number), cache=True)
def eighth_root(x):
    """x^(1/8), in a fifth of the time of a power."""
    return math.sqrt(math.sqrt(math.sqrt(x)))


@njit(types.void(_vector, _integer, _vector), cache=True)
def lane(source, q, target):
    """One lane of a vector as an array of its own."""
    for i in range(target.size):
        target[i] = source[LANES * i + q]


@njit(
    types.void(
        _matrix, _cube, _integers, _vector, _table, _integer, _integer, _integers,  # the first line of the arguments
        _integer, _vector, _vector, _vector, _matrix, _vector,  # entry, y, slopes, new, spare, dense
        _vector, _cube, _vector, _vector, _vector, _integers, _vector,  # breaks ... work
        _vector, _integers, _vector,  # stops, recorded, times
        _table, _matrix, _integers, _vector, _integer, _integer,  # rows, weights, filled, c, stages, solution
        _number, _number, _number, _integer,  # rtol, atol, step, max_steps
    ),
    cache=True,
    error_model="numpy",
    nogil=True,
)  # fmt: skip
def march(
    states, outputs, statuses, reached, tallies, first, beyond, halt,
    entry, y, slopes, new, spare, dense, breaks, pieces, scratch, ext, par, dims, work, stops, recorded, times,
    rows, weights, filled, c, stages, solution, rtol, atol, step, max_steps,
):  # fmt: skip
    """Whole integrations of the trajectories first .. beyond - 1; arguments and results as for `stepping.march`.

    A lane without a trajectory goes on with step zero where it stands; what it computes is not used.
    """
    rhs = kernel_at(entry)
    length, n = y.size, y.size // LANES
    sign = 1.0 if stops[-1] >= times[0] else -1.0
    floats = np.zeros((11, LANES))
    t, steps, h, after, middle, at = floats[0], floats[1], floats[2], floats[3], floats[4], floats[5]
    ratios, shares, fresh, kept, flags = floats[6], floats[7], floats[8], floats[9], floats[10]
    integers = np.zeros((6, LANES), np.int64)
    owner, stop, output, retried, last, ended = (
        integers[0], integers[1], integers[2], integers[3], integers[4], integers[5]
    )  # fmt: skip
    owner[:] = -1
    counted = np.zeros((LANES, 3), np.int64)  # accepted, rejected, evaluations
    own, slope, other = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        y[LANES * i : LANES * (i + 1)] = states[first, i]
    for i in range(scratch.size):
        ext[LANES * i : LANES * (i + 1)] = pieces[0, 0, i]
    waiting = first
    while True:
        # Lanes whose trajectory has ended take the next one.
        running = 0
        for q in range(LANES):
            if owner[q] < 0 and waiting < beyond and halt[0] == 0:
                owner[q], stop[q], output[q], retried[q] = waiting, 0, 1, 0
                t[q], steps[q], fresh[q] = times[0], step, 1.0
                counted[q] = 0
                for i in range(n):
                    y[LANES * i + q] = states[waiting, i]
                    outputs[waiting, 0, i] = states[waiting, i]
                waiting += 1
            running += owner[q] >= 0
        if running == 0 or halt[0] != 0:
            break
        # Slopes at the beginning and after stops, where signals may jump; first steps.
        beginning = False
        for q in range(LANES):
            at[q] = t[q]
            middle[q] = stops[stop[q]] if owner[q] >= 0 else t[q]
            beginning |= fresh[q] != 0.0
        if beginning:
            signals(breaks, pieces, at, middle, scratch, ext)
            rhs(0.0, y, ext, par, dims, work, spare[0])
            take(fresh, spare[0], slopes[:length])
            guessed = False
            for q in range(LANES):
                h[q] = 0.0
                if fresh[q] != 0.0:
                    fresh[q] = 0.0
                    counted[q, 2] += 1
                    if steps[q] == 0.0:
                        lane(y, q, own)
                        lane(slopes, q, slope)
                        distance = abs(middle[q] - t[q])
                        h[q] = sign * min(first_step(own, slope, slope, 0.0, _ORDER, rtol, atol), distance)
                        guessed = True
            if guessed:
                for i in range(length):
                    new[i] = y[i] + h[i % LANES] * slopes[i]
                for q in range(LANES):
                    at[q] = t[q] + h[q]
                signals(breaks, pieces, at, t, scratch, ext)
                rhs(0.0, new, ext, par, dims, work, slopes[length : 2 * length])
                for q in range(LANES):
                    if h[q] != 0.0:
                        lane(y, q, own)
                        lane(slopes, q, slope)
                        lane(slopes[length:], q, other)
                        counted[q, 2] += 1
                        guess = first_step(own, slope, other, abs(h[q]), _ORDER, rtol, atol)
                        steps[q] = guess if guess > 0.0 else 1e-6 * abs(middle[q] - t[q])
        # The step of each lane.
        for q in range(LANES):
            ended[q], h[q], last[q], after[q], middle[q], kept[q] = -1, 0.0, 0, t[q], t[q], 0.0
            if owner[q] < 0:
                continue
            distance = abs(stops[stop[q]] - t[q])
            length_of_step = min(steps[q], distance)
            # A sliver of a step before a stop would waste twelve evaluations: stretch or halve instead.
            if length_of_step < distance < 1.01 * length_of_step:
                length_of_step = distance
            last[q] = length_of_step == distance
            if last[q] == 0 and length_of_step <= 16.0 * 2.2e-16 * max(abs(t[q]), abs(stops[stop[q]])):
                ended[q] = STEP_TOO_SMALL
                continue
            h[q] = sign * length_of_step
            after[q] = stops[stop[q]] if last[q] else t[q] + h[q]
            middle[q] = t[q] + 0.5 * h[q]
        for s in range(1, stages):
            combine(y, 1.0, slopes, rows, weights, filled, s, h, new)
            for q in range(LANES):
                at[q] = after[q] if c[s] == 1.0 else t[q] + c[s] * h[q]
            signals(breaks, pieces, at, middle, scratch, ext)
            rhs(0.0, new, ext, par, dims, work, slopes[s * length : (s + 1) * length])
        combine(y, 1.0, slopes, rows, weights, filled, solution + SOLUTION, h, new)
        signals(breaks, pieces, after, middle, scratch, ext)
        rhs(0.0, new, ext, par, dims, work, slopes[stages * length : (stages + 1) * length])
        error_ratios(y, new, slopes, rows, weights, solution, h, rtol, atol, ratios)
        wanted = False
        for q in range(LANES):
            if owner[q] < 0 or ended[q] >= 0:
                continue
            counted[q, 2] += stages
            ratio, size = ratios[q], abs(h[q])
            if not ratio < 1.0:
                if ratio != ratio and size <= 1e-12 * max(1.0, abs(t[q])):
                    ended[q] = NON_FINITE
                    continue
                counted[q, 1] += 1
                retried[q] = 1
                steps[q] = size * (max(0.333, 0.9 / eighth_root(ratio)) if ratio == ratio else 0.1)
                continue
            growth = 6.0 if ratio == 0.0 else min(6.0, max(0.333, 0.9 / eighth_root(ratio)))
            if retried[q] == 1:
                growth = min(1.0, growth)
            retried[q] = 0
            # The stop, not the error, may have shortened this step: then the earlier length is kept.
            steps[q] = max(steps[q], size * growth) if last[q] else size * growth
            kept[q] = 1.0
            counted[q, 0] += 1
            if output[q] < times.size and (after[q] - times[output[q]]) * sign > 0.0:
                counted[q, 2] += solution - stages - 1
                wanted = True
        if wanted:
            for s in range(stages + 1, solution):
                combine(y, 1.0, slopes, rows, weights, filled, s, h, spare[0])
                for q in range(LANES):
                    at[q] = t[q] + c[s] * h[q]
                signals(breaks, pieces, at, middle, scratch, ext)
                rhs(0.0, spare[0], ext, par, dims, work, slopes[s * length : (s + 1) * length])
            interpolant(y, new, slopes, rows, weights, filled, solution, stages, h, dense)
        while wanted:
            wanted = False
            for q in range(LANES):
                flags[q], shares[q] = 0.0, 0.0
                if kept[q] != 0.0 and output[q] < times.size and (after[q] - times[output[q]]) * sign > 0.0:
                    flags[q], shares[q] = 1.0, (times[output[q]] - t[q]) / h[q]
                    wanted = True
            if wanted:
                interpolate(y, new, dense, shares, spare[1])
                for q in range(LANES):
                    if flags[q] != 0.0:
                        lane(spare[1], q, outputs[owner[q], output[q]])
                        output[q] += 1
        take(kept, new, y)
        take(kept, slopes[stages * length : (stages + 1) * length], slopes[:length])
        for q in range(LANES):
            if kept[q] != 0.0:
                t[q] = after[q]
                if last[q]:
                    if recorded[stop[q]] >= 0:
                        lane(y, q, outputs[owner[q], recorded[stop[q]]])
                        output[q] = recorded[stop[q]] + 1
                    stop[q] += 1
                    fresh[q] = 1.0
                    if stop[q] == stops.size:
                        ended[q] = DONE
            if owner[q] >= 0 and ended[q] < 0 and counted[q, 0] + counted[q, 1] >= max_steps:
                ended[q] = RUNNING
            if ended[q] >= 0:
                statuses[owner[q]], reached[owner[q]], tallies[owner[q]] = ended[q], t[q], counted[q]
                owner[q], fresh[q] = -1, 0.0
    for q in range(LANES):
        if owner[q] >= 0:
            reached[owner[q]], tallies[owner[q]] = t[q], counted[q]
