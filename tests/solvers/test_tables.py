"""Signals as piecewise polynomials: accuracy, jumps, what cannot be tabulated."""

import numpy as np
import pytest

from qnnsym.errors import InputError
from qnnsym.solvers.tables import DEGREE, MAX_PIECES, PiecewisePolynomial, tabulate


def gap(table, function, low, high, count=400):
    times = np.random.default_rng(7).uniform(low, high, count)
    return np.max([np.abs(table(t) - function(t)) for t in times], axis=0)


@pytest.mark.parametrize(
    "function, low, high",
    (
        (lambda t: [np.sin(3 * t), t**2], -1.0, 2.0),
        (lambda t: [np.exp(-(t**2))], -8.0, 8.0),
        (lambda t: [1 / (1 + 25 * t**2)], -1.0, 1.0),
        (lambda t: [np.cos(t)], 1e6, 1e6 + 3),
    ),
    ids=("sine", "gaussian", "runge", "late"),
)
@pytest.mark.parametrize("tolerance", (1e-6, 1e-12))
def test_the_tolerance_is_kept(function, low, high, tolerance):
    table = tabulate(function, low, high, tolerance)
    assert table.error <= tolerance
    largest = np.max([np.abs(function(t)) for t in np.linspace(low, high, 200)], axis=0)
    # The nine points between the nodes do not always see the largest error.
    assert np.all(gap(table, function, low, high) <= 1.5 * tolerance * largest)
    assert table.breaks[0] == low and table.breaks[-1] == high and (np.diff(table.breaks) > 0).all()
    assert table.pieces.shape == (len(table.breaks) - 1, DEGREE + 1, largest.size) and table.jumps == ()


def test_polynomials_up_to_the_degree_take_one_piece():
    table = tabulate(lambda t: [t**DEGREE - 2 * t, 1.0], 0.0, 1.0)
    assert len(table.pieces) == 1 and gap(table, lambda t: [t**DEGREE - 2 * t, 1.0], 0, 1).max() < 1e-14
    assert len(tabulate(lambda t: [t ** (DEGREE + 1)], 0.0, 1.0).pieces) > 1


def test_pieces_grow_as_the_inverse_eighth_root_of_the_tolerance():
    coarse, fine = (len(tabulate(lambda t: [np.sin(t)], 0, 100, tolerance).pieces) for tolerance in (1e-6, 1e-11))
    # Halving allows factors of two only.
    assert 2 <= fine / coarse <= 2 * 10 ** (5 / 8)


def test_the_interval_may_be_given_backwards():
    forwards, backwards = tabulate(lambda t: [np.sin(t)], 0.0, 2.0), tabulate(lambda t: [np.sin(t)], 2.0, 0.0)
    assert np.array_equal(forwards.breaks, backwards.breaks) and np.array_equal(forwards.pieces, backwards.pieces)


def test_each_channel_is_measured_against_its_own_size():
    table = tabulate(lambda t: [1e6 * np.sin(t), 1e-6 * np.cos(5 * t)], 0.0, 3.0, 1e-9)
    assert np.all(gap(table, lambda t: [1e6 * np.sin(t), 1e-6 * np.cos(5 * t)], 0, 3) < [2e-3, 2e-15])


def test_declared_jumps_are_kept_exactly():
    def steps(t):
        return [np.sin(t) if t < 0.4 else 5.0 + t]

    table = tabulate(steps, 0.0, 1.0, breakpoints=[0.4, 3.0, -1.0, 1.0])
    assert table.jumps == (0.4,) and 0.4 in table.breaks
    assert gap(table, steps, 0, 1).max() < 1e-11
    assert table(np.nextafter(0.4, 0))[0] == pytest.approx(np.sin(0.4)) and table(0.4)[0] == pytest.approx(5.4)


@pytest.mark.parametrize("at", (0.3, 1e4 + 0.3))
def test_jumps_that_are_not_declared_are_refused_with_their_channel_and_time(at):
    low = at - 0.3
    with pytest.raises(InputError, match=r"Channel 1 .* near t = (0\.3|10000\.3): .* jumps as breakpoints"):
        tabulate(lambda t: [1e6 * np.cos(t), 1.0 if t < at else 2.0], low, low + 1)


def test_a_signal_that_is_rough_everywhere_is_refused_before_memory_runs_out(monkeypatch):
    monkeypatch.setattr("qnnsym.solvers.tables.MAX_PIECES", 200)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="not smooth"):
        tabulate(lambda t: [rng.normal()], 0.0, 1.0)
    assert MAX_PIECES > 200


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_values_that_are_not_finite_are_refused_with_their_time(bad):
    with pytest.raises(InputError, match=r"not finite at t = 0\.[5-9]"):
        tabulate(lambda t: [bad if t > 0.5 else 1.0], 0.0, 1.0)


def test_values_of_changing_length_are_refused():
    with pytest.raises(InputError, match="different lengths"):
        tabulate(lambda t: [1.0] * (1 + (t > 0.5)), 0.0, 1.0)


def test_constants_do_not_depend_on_time():
    table = PiecewisePolynomial.constant([1.5, -2.0])
    assert table.channels == 2 and table.error == 0.0 and table.jumps == ()
    for t in (-1e9, 0.0, 0.3, 7.0):
        assert np.array_equal(table(t), [1.5, -2.0])
    assert PiecewisePolynomial.constant(()).channels == 0


def test_beyond_the_ends_the_outer_pieces_go_on():
    table = tabulate(lambda t: [t**3], 0.0, 1.0)
    assert table(1.5)[0] == pytest.approx(1.5**3) and table(-0.5)[0] == pytest.approx(-(0.5**3))


def test_numbers_and_arrays_of_any_shape_are_channels():
    assert tabulate(lambda t: 2.0 * t, 0.0, 1.0)(0.5) == pytest.approx([1.0])
    assert tabulate(lambda t: np.array([[t], [t**2]]), 0.0, 1.0)(0.5) == pytest.approx([0.5, 0.25])
