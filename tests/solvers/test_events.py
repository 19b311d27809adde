"""Events: crossings of planes to the accuracy of the dense output, in their order, and what ends a run."""

import numpy as np
import pytest

from qnnsym.errors import InputError
from qnnsym.solvers.events import ROOM, Event
from qnnsym.solvers.problem import Problem
from qnnsym.solvers.solution import Status
from tests.solvers import systems
from tests.solvers.systems import rotated, rotation

# The oscillator starts at (1, 0), so that x = cos t and its derivative is -sin t.
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def test_crossings_are_where_the_exact_solution_has_them():
    found = rotation(times=(0, 20, 2), events=[Event(0)]).solve(**TIGHT)
    (crossings,) = found.crossings
    exact = np.pi / 2 + np.pi * np.arange(6)
    assert crossings.times == pytest.approx(exact, abs=1e-9)
    assert np.abs(crossings.states - rotated(exact)).max() < 1e-9
    assert np.abs(crossings.states[:, 0]).max() < 1e-14


@pytest.mark.parametrize("direction, first", ((1, 1.5 * np.pi), (-1, 0.5 * np.pi)))
def test_a_direction_takes_every_second_crossing(direction, first):
    found = rotation(times=(0, 20, 2), events=[Event(0, direction=direction)]).solve(**TIGHT)
    times = found.crossings[0].times
    assert times == pytest.approx(first + 2 * np.pi * np.arange(len(times)), abs=1e-9) and len(times) == 3


def test_backwards_the_directions_follow_the_integration():
    found = rotation(times=(0, -7, 2), events=[Event(0, direction=-1)]).solve(**TIGHT)
    assert found.crossings[0].times == pytest.approx([-np.pi / 2], abs=1e-9)


def test_a_combination_of_components_and_a_level():
    # cos t - 2 sin t' = cos t + 2 sin t reaches 1 first at 2 arctan 2.
    event = Event({0: 1.0, 1: -2.0}, level=1.0)
    found = rotation(times=(0.1, 5, 2), y=rotated([0.1])[0], events=[event]).solve(**TIGHT)
    assert found.crossings[0].times[0] == pytest.approx(2 * np.arctan(2.0), abs=1e-9)


def test_a_terminal_event_ends_the_run_at_the_crossing():
    times = np.linspace(0, 20, 41)
    events = [Event(0, terminal=True), Event(1, level=-0.5)]
    found = rotation(times=times, events=events).solve(**TIGHT)
    assert found.status is Status.EVENT and found.success and not found.warnings
    assert np.array_equal(found.times, times[times < np.pi / 2])
    assert np.abs(found.states - rotated(found.times)).max() < 1e-9
    # The other event happened before, and nothing is recorded after the end.
    assert found.crossings[0].times == pytest.approx([np.pi / 2], abs=1e-9)
    assert found.crossings[1].times == pytest.approx([np.pi / 6], abs=1e-9)


def test_two_events_in_one_step_come_in_their_order():
    events = [Event(0, level=0.2), Event(0, level=0.3, terminal=True)]
    found = rotation(times=(0, 10, 2), events=events).solve(rtol=1e-6, atol=1e-6)
    # x falls through 0.3 before 0.2.
    assert found.status is Status.EVENT and not found.crossings[0].times.size


def test_starting_on_the_plane_is_no_crossing():
    found = rotation(times=(0, 4, 2), events=[Event(1)]).solve(**TIGHT)
    assert found.crossings[0].times == pytest.approx([np.pi], abs=1e-9)


def test_more_crossings_than_the_buffer_holds_are_all_kept():
    found = rotation(omega=50.0, times=(0, 20, 2), events=[Event(0)]).solve(rtol=1e-9, atol=1e-9)
    times = found.crossings[0].times
    assert len(times) == int(20 * 50 / np.pi - 0.5) + 1 > ROOM
    assert np.diff(times) == pytest.approx(np.full(len(times) - 1, np.pi / 50), abs=1e-6)


def test_components_have_names():
    problem = Problem(
        systems.oscillator, [1.0, 0.0], (0, 4, 2), par=[1.0], names=("x", "v"), events=[Event("v", level=-0.5)]
    )
    assert problem.solve(**TIGHT).crossings[0].times[0] == pytest.approx(np.pi / 6, abs=1e-9)


@pytest.mark.parametrize(
    "event, said",
    (
        (Event("z"), "names the component 'z'; the components are q, v"),
        (Event(2), "names the component 2"),
        (Event({0: 0.0}), "no plane"),
        (Event(0, level=np.nan), "no plane"),
        (Event(0, direction=2), "direction of an event is 2"),
    ),
)
def test_planes_that_are_none_are_refused(event, said):
    with pytest.raises(InputError, match=said):
        rotation(times=(0, 1, 2), events=[event]).solve()


@pytest.mark.parametrize("method", ("rk4", "radau"))
def test_methods_without_dense_output_of_their_own_are_refused(method):
    with pytest.raises(InputError, match="dop853"):
        rotation(times=(0, 1, 2), events=[Event(0)]).solve(method, step=0.1)
