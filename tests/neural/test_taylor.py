"""The Taylor oracle: against closed forms and mpmath's own integrator."""

import mpmath
import pytest

from qnnsym.neural.taylor import SLOPES, method_of_steps


def constant(rows):
    return lambda t, order: [[[mpmath.mpf(v), *[mpmath.mpf(0)] * order] for v in row] for row in rows]


def one_neuron(activation, **changes):
    given = {
        "activation": activation, "relaxation": 1.0, "inertia": 2.0, "delay": 0.5, "weight": [0.0], "target": [0.0],
        "decay": 0.0, "inputs": [], "mask": [[1, 1]], "moving": [[1, 1]], "sign": 1,
    }  # fmt: skip
    return {**given, **changes}


@pytest.mark.parametrize("activation", SLOPES)
def test_the_first_epoch_against_mpmaths_integrator(activation):
    f = {"tanh": mpmath.tanh, "logistic": lambda u: 1 / (1 + mpmath.exp(-u)), "linear": lambda u: u}[activation]
    network = one_neuron(activation, weight=[1.0], target=[0.25])
    w, start = [[0.5, -1.5]], (mpmath.mpf("0.75"), mpmath.mpf("-0.5"))
    end = method_of_steps(network, (constant(w), constant([[0.0, 0.0]])), [0.75], [-0.5], 1)[-1]
    with mpmath.workdps(25):

        def motion(t, s):
            u = mpmath.mpf("0.5") - mpmath.mpf("1.5") * s[0]
            slope = mpmath.diff(f, u)
            return [f(u) - s[0], s[1] + mpmath.mpf("1.5") * s[1] * slope - (s[0] - mpmath.mpf("0.25"))]

        y, costate = mpmath.odefun(motion, 0, list(start), tol=mpmath.mpf(10) ** -18)(mpmath.mpf("0.5"))
        assert abs(end["y"][0] - y) < 1e-16 and abs(end["costate"][0] - costate) < 1e-16


def test_the_sum_over_past_momenta_grows():
    # No cost and no costate: M stays, and W' = (n + 2) M/omega in epoch n.
    found = method_of_steps(one_neuron("tanh"), (constant([[0.0, 0.0]]), constant([[3.0, 0.0]])), [0.0], [0.0], 3)
    ends = [found[8 * n]["weights"][0][0] for n in range(4)]
    steps = [ends[n + 1] - ends[n] for n in range(3)]
    assert [float(s) for s in steps] == pytest.approx([3.0 * (n + 2) / 2 * 0.5 for n in range(3)], abs=1e-25)
    frozen = method_of_steps(
        one_neuron("tanh"), (constant([[0.0, 0.0]]), constant([[3.0, 0.0]])), [0.0], [0.0], 3, reading="frozen"
    )
    assert float(frozen[-1]["weights"][0][0]) == pytest.approx(3.0 / 2 * 1.5, abs=1e-25)
