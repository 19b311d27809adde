"""Which composition and which steps: chosen from local errors that are measured along the way, and added up."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np

from qnnsym.errors import InputError
from qnnsym.solvers.compositions import BLANES_MOAN_4, BLANES_MOAN_6, STRANG, Composition
from qnnsym.solvers.split_flows import SplitPropagator

MAX_STEPS = 1_000_000
# From so many steps on, a method that was asked for is slow enough to say so before it begins.
MANY_STEPS = 20_000
# Most steps between two measurements of the local error, each of which costs a step; fewer while the error grows.
LONGEST_GAP = 8
# A gap above this, relative to W: the step is too long for its error to follow a power of it.
SATURATED = 0.05


class Steps:
    """Chooses the composition and the steps from measured local errors, and adds these up.

    A pair of steps is held against one of twice the length: their gap is (2^(q+1) - 2) local errors of the order-q
    method, and the pair counts as work done.
    """

    def __init__(
        self,
        propagator: SplitPropagator,
        composition: Composition | None,
        step: float | None,
        tolerance: float,
        times: np.ndarray,
    ) -> None:
        self.propagator, self.fixed = propagator, step is not None
        self.composition = composition or BLANES_MOAN_6
        self.candidates = (composition,) if composition else (BLANES_MOAN_6, BLANES_MOAN_4, STRANG)
        span = abs(float(times[-1] - times[0]))
        self.rate = 0.5 * tolerance / span  # half: the steps between two measurements are not seen
        self.span, self.tolerance = span, tolerance
        self.typical = span / (times.size - 1)
        self.h = step or 0.0
        self.ceiling = math.inf  # no longer step is stable; set where the method is not stable with all of them
        self.floor = 0.0  # error per unit time that no shorter step removes: the grid's, or rounding
        self.refused: list[tuple[float, float]] = []  # steps and errors per unit time refused since the last pair
        self.sum, self.coefficient = 0.0, 0.0  # the local error of a step h is coefficient * h^(q+1)
        # Since the last measurement: number of steps, sum of their h^(q+1), sum of their h.
        self.unmeasured, self.weight, self.elapsed = 0, 0.0, 0.0
        self.gap, self.chosen_h = 2, math.inf
        self.steps, self.longest, self.exhausted = 0, 0.0, False
        # W, interval, share of it done and steps at the last measurement; where to begin again, after `interval` ended.
        self.safe: tuple[np.ndarray, int, float, int] | None = None
        self.back: tuple[np.ndarray, int, float] | None = None

    def total_error(self, rounding: bool = True) -> float:
        """The sum of local errors so far, and of rounding, relative to the norm of W."""
        # A transform with its factor was found to round by a quarter of the machine precision.
        rounded = np.finfo(float).eps / 4 * self.propagator.transforms if rounding else 0.0
        return self.sum + self.weight * self.coefficient + rounded

    def interval(
        self, w: np.ndarray, n: int, start: float, duration: float, done: float = 0.0
    ) -> Iterator[tuple[float, np.ndarray]]:
        """Advance by output interval n from a time on, a share of it done; yields (share done, W), the last with 1.

        The steps of an interval are equal unless the tolerance asks for shorter ones on the way. Where those of an
        earlier interval turn out to have been too long, it ends with `back` set to where they began.
        """
        sign, length = (1.0 if duration > 0 else -1.0), abs(float(duration))
        count = 0
        while done < 1:
            now = start + done * duration
            if not self.h:
                self._pilot(w, sign, now)
                self._announce()
            power = self.composition.order + 1
            if not count:
                count = max(1, math.ceil((1 - done) * length / min(self.h, self.ceiling) * (1 - 1e-12)))
            if not self.fixed and count > MAX_STEPS:
                self.exhausted = True
                return
            h = (1 - done) * length / count
            if not self.steps or self.unmeasured >= self.gap:
                # A lone step is replaced, and measured, by its two halves.
                taken, small = (2, h) if count > 1 else (1, h / 2)
                after, error = self._pair(w, self.composition, sign * small, now)
                # Unmeasured steps count as the worse of their two neighbours.
                coefficient = error / small**power if small**power else 0.0  # an interval too short to matter
                behind = self.weight * max(self.coefficient, coefficient)
                refused = not self.fixed and self._too_large(error, small, h)
                again = self.safe if behind > 2 * self.rate * self.elapsed and not self.floor else None
                if refused or again:
                    count = 0
                    if again:
                        # The unmeasured steps behind were too long: they are taken again.
                        shorter = 0.8 * (self.rate * self.elapsed / behind) ** (1 / self.composition.order)
                        self.h = min(self.h, shorter * self.elapsed / self.unmeasured)
                        self.weight, self.elapsed, self.unmeasured = 0.0, 0.0, 0
                    if self.h < 0.3 * self.chosen_h and not self.floor:
                        # Where so much shorter steps are needed, another composition may be cheaper.
                        self._pilot(w, sign, now)
                    if again:
                        (w, begun, done, self.steps), self.safe = again, None
                        if begun != n:
                            self.back = w, begun, done
                            return
                    continue
                w = after
                self.sum += behind + 2 * error
                if coefficient < 2 * self.coefficient:
                    self.gap = min(LONGEST_GAP, max(1, 2 * self.gap))
                else:
                    # While it grows that fast every step is looked at; given steps stay whole, in pairs.
                    self.gap = 0 if self.coefficient and not self.fixed else 2
                self.coefficient, self.weight, self.elapsed, self.unmeasured = coefficient, 0.0, 0.0, 0
            else:
                taken = min(count, self.gap - self.unmeasured)
                w = self.propagator.advance(w, self.composition, sign * h, taken, now)
                self.unmeasured += taken
                self.weight += taken * h**power
                self.elapsed += taken * h
            self.steps += taken
            self.longest = max(self.longest, h)
            done = 1.0 if taken == count else done + (1 - done) * taken / count
            count -= taken
            if not self.unmeasured and not self.fixed:
                self.safe = (w.copy(), n, done, self.steps)
            yield done, w

    def _announce(self) -> None:
        """Say how many steps a method that was asked for will take, where these are many.

        Raises:
            InputError: above MAX_STEPS.
        """
        expected = self.span / self.h
        if len(self.candidates) > 1 or expected <= MANY_STEPS:
            return
        sentence = (
            f"{self.composition.name} needs about {expected:.1e} steps for the tolerance {self.tolerance:g} up to "
            f"t = {self.span:g}"
        )
        advice = "give a looser tolerance, shorter times, or method=None, which takes the cheapest"
        if expected > MAX_STEPS:
            raise InputError(f"{sentence}, more than {MAX_STEPS}; {advice}.")
        warnings.warn(f"{sentence}; where that is too slow, {advice}.", RuntimeWarning, stacklevel=2)

    def _pair(self, w: np.ndarray, composition: Composition, h: float, t: float) -> tuple[np.ndarray, float]:
        """(W after two steps of h from time t, local error of one of them relative to the norm of W)."""
        coarse = self.propagator.advance(w.copy(), composition, 2 * h, 1, t)
        fine = self.propagator.advance(w.copy(), composition, h, 2, t)
        coarse -= fine
        with np.errstate(all="ignore"):
            gap = float(np.linalg.norm(coarse) / np.linalg.norm(fine))
        # Diffusion run backwards by too long a step overflows: an error without bound.
        gap = gap if math.isfinite(gap) else math.inf
        return fine, gap / (2.0 ** (composition.order + 1) - 2)

    def _too_large(self, error: float, small: float, h: float) -> bool:
        """Whether the pair has to be repeated with a shorter step; sets the length of the steps that follow."""
        q = self.composition.order
        found = error / small
        wanted = small * (self.rate / max(found, 1e-3 * self.rate)) ** (1 / q)
        if found <= self.rate or (found <= 2 * self.floor and not self.refused):
            self.refused.clear()
            if found < 0.01 * self.rate:
                # Far too good. Anything less keeps its step, and with it the factors that belong to the step.
                self.h = min(0.9 * wanted, 2 * h, self.propagator.longest(self.composition) / 2)
            elif small < h and not self.floor:
                # Halves were measured in place of a lone step; the steps that nobody measures must be no worse.
                self.h = min(self.h, max(small, 0.9 * wanted))
            return False
        saturated = error * 2.0 ** (q + 1) > SATURATED
        useless = any(small < 0.75 * longer and found / small > rate / longer for longer, rate in self.refused[-1:])
        self.refused.append((small, found))
        if useless and not saturated:
            # Less is gained than by a method of first order: the rest is the grid's error, or rounding. Go back to the
            # longest step that is about as good.
            least = min(rate for _, rate in self.refused)
            self.h, self.floor = max(pair for pair in self.refused if pair[1] <= 3 * least)
            self.refused.clear()
        else:
            self.h = min(max(0.8 * wanted, small / 5), 0.7 * small)
        return True

    def _pilot(self, w: np.ndarray, sign: float, t: float) -> None:
        """Take the composition that needs the least work per output interval, and its step."""
        self.sum, self.coefficient, self.weight = self.total_error(rounding=False), 0.0, 0.0
        before, least, h = self.composition, math.inf, min(self.typical / 2, 4 * self.h) if self.h else self.typical / 2
        asked = self.h
        for composition in self.candidates:
            # Steps are held against one of twice the length, which must not multiply rounding either.
            longest = self.propagator.longest(composition) / 2
            h = min(h, longest)
            q, wanted = composition.order, h
            for _ in range(12):
                _, error = self._pair(w, composition, sign * h, t)
                wanted = 0.9 * h * max((self.rate / max(error / h, 1e-6 * self.rate)) ** (1 / q), 1e-3)
                # Where the leading power of h rules, one measurement tells the step well enough to compare the work.
                if error * 2.0 ** (q + 1) < SATURATED and (wanted > h / 10 or composition is not self.candidates[0]):
                    break
                h = min(self.typical / 2, max(wanted, h / 8))
            wanted = min(wanted, longest)
            work = composition.stages * math.ceil(self.typical / wanted)
            if work < least:
                least, self.composition, self.h = work, composition, min(wanted, self.typical)
        if asked and self.composition is before:
            # The measurement just made does not undo the refusal that asked for a shorter step.
            self.h = min(self.h, asked)
        self.chosen_h = self.h
        if self.composition is not before:
            self.refused.clear()
