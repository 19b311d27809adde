"""The compiled driver: one function for every explicit tableau, every model and every parameter.

The right-hand side comes in as an address, `entry`, so a new model compiles nothing here. The state of the
integration lives in the arrays `scalars` and `counts`, so that the driver returns to Python after a number of steps and
goes on where it was. Importing this module compiles it or loads it from numba's cache: see `problem.driver`.

    scalars   t, step of the next attempt
    counts    status, accepted, rejected, evaluations, next stop, next output, first slope known, fixed steps left,
              last attempt rejected, index of a component that is not finite, steps at the limit of stability,
              steps below it since, crossings in `hits`, pieces in `store`
    rows, weights, filled
              the tableau, a linear combination of slopes in each row: those of the stages, of the dense output's extra
              stages, then SOLUTION, ERROR5, ERROR3, four of the dense output and STABILITY from `solution` on
    planes, levels, senses, terminal, values, hits
              events: planes[e] . y = levels[e], crossed upwards, downwards or both (senses 1, -1, 0); values[e] is the
              difference at the last state; a line of hits is time, event and state of a crossing
    lags, channels, kept, mesh, store, refit
              what delay equations read of the past: see `lagged`
"""

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from qnnsym.solvers.lagged import fill_lagged, keep_step
from qnnsym.solvers.stages import (
    DENSE,
    at_limit,
    combine,
    crossing,
    error_ratio,
    first_step,
    height,
    interpolant,
    interpolate,
    not_finite,
)

RUNNING, DONE, STEP_TOO_SMALL, NON_FINITE, STIFF, EVENT, FULL, CROWDED = 0, 1, 2, 3, 4, 5, 6, 7
T, STEP = 0, 1
STATUS, ACCEPTED, REJECTED, EVALUATIONS, STOP, OUTPUT, SLOPE, LEFT, RETRY, CULPRIT = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
LIMITED, FREE, HITS, USED = 10, 11, 12, 13
COUNTS = 14
SOLUTION, ERROR5, ERROR3, STABILITY = 0, 1, 2, DENSE + 4
# Hairer's test of stiffness: so many steps at the limit of stability, and so many below that acquit again.
CONVICTED, ACQUITTED = 15, 6
# Vectors that the dense output needs beside the slopes.
DENSE_VECTORS = 6

_number, _integer = types.float64, types.int64
_vector, _matrix, _cube = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_integers, _table = types.int64[::1], types.int64[:, ::1]
KERNEL = types.FunctionType(types.void(_number, _vector, _vector, _vector, _integers, _vector, _vector))


@intrinsic
def kernel_at(typing_context, address):
    """The kernel whose machine code begins at an address. As an argument of its own type it would cost 11 us a call,
    because numba looks up such a function anew each time."""

    def code(context, builder, signature, arguments):
        function = cgutils.create_struct_proxy(KERNEL)(context, builder)
        function.c_addr = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        return function._getvalue()

    return KERNEL(types.intp), code


@njit(types.void(_vector, _cube, _number, _number, _vector), cache=True, error_model="numpy")
def fill_external(breaks, pieces, t, inside, ext):
    """Values at t of piecewise polynomials; at a break, those of the piece on the side of `inside`."""
    if breaks.size == 2 and pieces.shape[1] == 1:
        for channel in range(pieces.shape[2]):
            ext[channel] = pieces[0, 0, channel]
        return
    last = breaks.size - 2
    at = np.searchsorted(breaks, t) - 1
    if at < last and t == breaks[at + 1] and inside > t:
        at += 1
    at = min(max(at, 0), last)
    x = t - breaks[at]
    degree = pieces.shape[1]
    for channel in range(pieces.shape[2]):
        value = pieces[at, degree - 1, channel]
        for power in range(degree - 2, -1, -1):
            value = value * x + pieces[at, power, channel]
        ext[channel] = value


@njit(
    types.void(_vector, _cube, _vector, _table, _vector, _cube, _integer, _number, _number, _vector),
    cache=True,
    error_model="numpy",
)
def fill(breaks, pieces, lags, channels, mesh, store, used, t, inside, ext):
    """Signals, then lagged values, at t; where they jump, those on the side of `inside`."""
    fill_external(breaks, pieces, t, inside, ext)
    if lags.size:
        fill_lagged(lags, channels, mesh, store, used, t, inside, pieces.shape[2], ext)


@njit(
    types.void(
        _integer, _vector, _matrix, _vector, _matrix, _matrix,  # entry, y, slopes, new, spare, dense
        _vector, _cube, _vector, _vector, _integers, _vector,  # breaks, pieces, ext, par, dims, work
        _vector, _integers, _vector, _matrix,  # stops, recorded, times, outputs
        _table, _matrix, _integers, _vector, _integer, _integer,  # rows, weights, filled, c, stages, solution
        _matrix, _vector, _integers, _integers, _vector, _matrix,  # planes, levels, senses, terminal, values, hits
        _vector, _table, _table, _vector, _cube, _matrix,  # lags, channels, kept, mesh, store, refit
        _number, _number, _number, _number, _integer,  # rtol, atol, step, limit, budget
        _vector, _integers,  # scalars, counts
    ),
    cache=True,
    error_model="numpy",
    nogil=True,
)  # fmt: skip
def advance(
    entry, y, slopes, new, spare, dense, breaks, pieces, ext, par, dims, work, stops, recorded, times, outputs,
    rows, weights, filled, c, stages, solution, planes, levels, senses, terminal, values, hits,
    lags, channels, kept, mesh, store, refit, rtol, atol, step, limit, budget, scalars, counts,
):  # fmt: skip
    """Take at most `budget` steps towards the last stop; outputs between stops come from the dense output.

    `stops` are times at which a step has to end; recorded[n] >= 0 is the output that is the state at stop n. Where a
    limit of stability is given, steps that stay at it end with the status STIFF.
    """
    rhs = kernel_at(entry)
    # Signals that do not change are read once.
    moving = lags.size > 0 or breaks.size > 2 or pieces.shape[1] > 1
    if not moving:
        fill_external(breaks, pieces, 0.0, 0.0, ext)
    events = levels.size
    roots = np.empty(events)
    adaptive = filled[solution + ERROR5] > 0
    order = 8.0
    # No step reaches beyond the shortest lag: what lies before it is known then.
    shortest = np.inf
    for lag in lags:
        shortest = min(shortest, lag * (1.0 + 1e-12))
    for _ in range(budget):
        if counts[STOP] == stops.size:
            counts[STATUS] = DONE
            return
        if events > hits.shape[0] - counts[HITS]:
            counts[STATUS] = FULL
            return
        used = counts[USED]
        if lags.size and used == store.shape[0]:
            counts[STATUS] = CROWDED
            return
        t, stop = scalars[T], stops[counts[STOP]]
        sign = 1.0 if stop >= t else -1.0
        distance = abs(stop - t)
        if counts[SLOPE] == 0:
            if moving:
                fill(breaks, pieces, lags, channels, mesh, store, used, t, stop, ext)
            rhs(t, y, ext, par, dims, work, slopes[0])
            counts[EVALUATIONS] += 1
            counts[SLOPE] = 1
            if not adaptive:
                counts[LEFT] = max(1, int(np.ceil(distance / step * (1.0 - 1e-12))))
            elif scalars[STEP] == 0.0:
                h = min(first_step(y, slopes[0], slopes[0], 0.0, order, rtol, atol), distance, shortest)
                for i in range(y.size):
                    new[i] = y[i] + sign * h * slopes[0, i]
                if moving:
                    fill(breaks, pieces, lags, channels, mesh, store, used, t + sign * h, t, ext)
                rhs(t + sign * h, new, ext, par, dims, work, slopes[1])
                counts[EVALUATIONS] += 1
                guess = first_step(y, slopes[0], slopes[1], h, order, rtol, atol)
                scalars[STEP] = guess if guess > 0.0 else 1e-6 * distance
        h = distance / counts[LEFT] if not adaptive else min(scalars[STEP], distance, shortest)
        # A sliver of a step before a stop would waste twelve evaluations: stretch or halve instead.
        if adaptive and h < distance < 1.01 * h:
            h = distance if distance <= shortest else 0.5 * distance
        last = h == distance
        if adaptive and not last and h <= 16.0 * 2.2e-16 * max(abs(t), abs(stop)):
            counts[STATUS] = STEP_TOO_SMALL
            return
        after = stop if last else t + sign * h
        middle = t + 0.5 * sign * h
        for s in range(1, stages):
            combine(y, 1.0, slopes, rows, weights, filled, s, sign * h, new)
            at = after if c[s] == 1.0 else t + c[s] * sign * h
            if moving:
                fill(breaks, pieces, lags, channels, mesh, store, used, at, middle, ext)
            rhs(at, new, ext, par, dims, work, slopes[s])
        counts[EVALUATIONS] += stages - 1
        combine(y, 1.0, slopes, rows, weights, filled, solution + SOLUTION, sign * h, new)
        if adaptive:
            if moving:
                fill(breaks, pieces, lags, channels, mesh, store, used, after, middle, ext)
            rhs(after, new, ext, par, dims, work, slopes[stages])
            counts[EVALUATIONS] += 1
            for n in range(2):
                combine(y, 0.0, slopes, rows, weights, filled, solution + ERROR5 + n, 1.0, spare[n])
            ratio = error_ratio(y, new, spare[0], spare[1], h, rtol, atol)
            if not ratio < 1.0:
                if ratio != ratio and h <= 1e-12 * max(1.0, abs(t)):
                    counts[STATUS] = NON_FINITE
                    counts[CULPRIT] = not_finite(new, slopes[stages])
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
            ended, share = -1, 1.0
            wanted = kept.shape[0] > 0 or (counts[OUTPUT] < times.size and (after - times[counts[OUTPUT]]) * sign > 0.0)
            for e in range(events):
                value = height(planes, e, levels, new)
                roots[e] = 2.0
                rising = value > 0.0
                if values[e] != 0.0 and rising != (values[e] > 0.0) and senses[e] * (1 if rising else -1) >= 0:
                    roots[e] = 0.0
                    wanted = True
            if wanted:
                for s in range(stages + 1, solution):
                    combine(y, 1.0, slopes, rows, weights, filled, s, sign * h, spare[0])
                    if moving:
                        fill(breaks, pieces, lags, channels, mesh, store, used, t + c[s] * sign * h, middle, ext)
                    rhs(t + c[s] * sign * h, spare[0], ext, par, dims, work, slopes[s])
                counts[EVALUATIONS] += solution - stages - 1
                interpolant(y, new, slopes, rows, weights, filled, solution, stages, sign * h, dense)
                if kept.shape[0] > 0:
                    keep_step(y, new, dense, lags, kept, mesh, store, used, refit, t, after)
                    counts[USED] += 1
            for e in range(events):
                value = height(planes, e, levels, new)
                if roots[e] == 0.0:
                    roots[e] = crossing(y, new, dense, planes, e, levels, values[e], value, spare[1])
                    if terminal[e] and roots[e] <= share:
                        ended, share = e, roots[e]
                values[e] = value
            for _ in range(events):
                # In the order in which they happen, up to the one that ends the run.
                e = np.argmin(roots)
                if roots[e] > share:
                    break
                interpolate(y, new, dense, roots[e], spare[1])
                hits[counts[HITS], 0], hits[counts[HITS], 1] = t + roots[e] * sign * h, e
                hits[counts[HITS], 2:] = spare[1]
                counts[HITS] += 1
                roots[e] = 2.0
            if ended >= 0:
                after, last = t + share * sign * h, False
            while counts[OUTPUT] < times.size and (after - times[counts[OUTPUT]]) * sign > 0.0:
                interpolate(y, new, dense, (times[counts[OUTPUT]] - t) / (sign * h), outputs[counts[OUTPUT]])
                counts[OUTPUT] += 1
            if ended >= 0:
                interpolate(y, new, dense, share, spare[1])
                new[:] = spare[1]
                counts[STATUS] = EVENT
            elif limit > 0.0:
                combine(y, 0.0, slopes, rows, weights, filled, solution + STABILITY, sign * h, spare[0])
                if at_limit(spare[0], slopes, stages, limit, h):
                    counts[LIMITED] += 1
                    counts[FREE] = 0
                    if counts[LIMITED] == CONVICTED:
                        counts[STATUS] = STIFF
                else:
                    counts[FREE] += 1
                    if counts[FREE] == ACQUITTED:
                        counts[LIMITED] = 0
        else:
            culprit = not_finite(new, new)
            if culprit >= 0:
                counts[STATUS] = NON_FINITE
                counts[CULPRIT] = culprit
                return
        counts[ACCEPTED] += 1
        scalars[T] = after
        y[:] = new
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
            if moving:
                fill(breaks, pieces, lags, channels, mesh, store, used, after, stop, ext)
            rhs(after, y, ext, par, dims, work, slopes[0])
            counts[EVALUATIONS] += 1
        if counts[STATUS]:
            counts[SLOPE] = 0
            break
    if counts[STOP] == stops.size:
        counts[STATUS] = DONE


@njit(
    types.void(
        _matrix, _cube, _integers, _vector, _table, _integer, _integer,  # the first line of the arguments
        _integer, _vector, _matrix, _vector, _matrix, _matrix,
        _vector, _cube, _vector, _vector, _integers, _vector,
        _vector, _integers, _vector,
        _table, _matrix, _integers, _vector, _integer, _integer,
        _matrix, _vector, _integers, _integers, _vector, _matrix,
        _vector, _table, _table, _vector, _cube, _matrix,
        _number, _number, _number, _number, _integer,
    ),
    cache=True,
    error_model="numpy",
    nogil=True,
)  # fmt: skip
def march(
    states, outputs, statuses, reached, tallies, first, beyond,
    entry, y, slopes, new, spare, dense, breaks, pieces, ext, par, dims, work, stops, recorded, times,
    rows, weights, filled, c, stages, solution, planes, levels, senses, terminal, values, hits,
    lags, channels, kept, mesh, store, refit, rtol, atol, step, limit, max_steps,
):  # fmt: skip
    """Whole integrations of the trajectories first .. beyond - 1, one after the other, each as `advance` does it.

    states (trajectories, n), outputs (trajectories, times, n), statuses and reached (trajectories,), tallies
    (trajectories, 3): accepted and rejected steps and evaluations.
    """
    scalars, counts = np.zeros(2), np.zeros(COUNTS, np.int64)
    adaptive = filled[solution + ERROR5] > 0
    for trajectory in range(first, beyond):
        for i in range(y.size):
            y[i] = states[trajectory, i]
            outputs[trajectory, 0, i] = y[i]
        counts[:] = 0
        counts[OUTPUT] = 1
        scalars[T], scalars[STEP] = times[0], step if adaptive else 0.0
        advance(
            entry, y, slopes, new, spare, dense, breaks, pieces, ext, par, dims, work, stops, recorded, times,
            outputs[trajectory], rows, weights, filled, c, stages, solution, planes, levels, senses, terminal, values,
            hits, lags, channels, kept, mesh, store, refit, rtol, atol, step, limit, max_steps, scalars, counts,
        )  # fmt: skip
        statuses[trajectory], reached[trajectory] = counts[STATUS], scalars[T]
        for n in range(3):
            tallies[trajectory, n] = counts[ACCEPTED + n]
