"""Numbers for networks: packing, kernels, integration, and the physics that solutions have to show."""

import itertools
import tempfile

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from qnnsym import Model
from qnnsym.checks.invariants import symplectic_defect
from qnnsym.equations.functions import logistic
from qnnsym.errors import InputError, SolverError
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, numerics
from qnnsym.neural.numerics import Data, activation_values, component_names
from tests.neural import cases
from tests.neural.cases import (
    COSTATE0,
    FREE,
    INPUTS,
    LAM,
    M0,
    MASK,
    MOVES,
    MU,
    OMEGA,
    STATE,
    TARGET,
    W0,
    WEIGHT,
    Y0,
    L,
    N,
)

FIXED = float("inf")


def integrate(span, state=STATE, activation="tanh", inertia=OMEGA, rtol=1e-11, **options):
    eqs = cases.equations(activation, inertia)
    return numerics.integrate(
        eqs, state, span, rtol=rtol, atol=rtol / 100, inputs=INPUTS, kernels=cases.kernels(activation), **options
    )


def flat(y=Y0, costate=COSTATE0, weights=W0, momenta=M0):
    return np.concatenate([y, costate, np.ravel(weights), np.ravel(momenta)])


# kernels against the spec ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inertia", [OMEGA, FIXED])
def test_compiled_rates_are_those_of_the_spec(inertia):
    rhs = cases.equations("tanh", inertia).compiled(inputs=INPUTS)
    out = np.full(STATE.size, np.nan)
    assert rhs(0.0, STATE, out) is None
    np.testing.assert_allclose(out, cases.rates(0.0, STATE, inertia=inertia), rtol=1e-13, atol=1e-14)


def test_compiled_product_is_the_derivative_along_the_direction():
    v = np.random.default_rng(4).normal(size=STATE.size)
    product = cases.equations().compiled(tangent=True, inputs=INPUTS)
    out, out_v = np.full((2, STATE.size), np.nan)
    product(0.0, STATE, v, out, out_v)
    np.testing.assert_allclose(out, cases.rates(0.0, STATE), rtol=1e-13, atol=1e-14)
    step = cases.rates(0.0, STATE + 1e-30j * v).imag / 1e-30
    np.testing.assert_allclose(out_v, step, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (np.zeros(3), r"state is an array \(3,\)"),
        (STATE.tolist(), "state is .* give a NumPy array"),
        (STATE.astype(np.float32), "float32"),
        (np.repeat(STATE, 2)[::2], "strided"),
    ],
)
def test_compiled_rates_check_the_arrays_they_write_to(state, sentence):
    eqs, out, zero = cases.equations(), np.zeros_like(STATE), np.zeros_like(STATE)
    f, g = eqs.compiled(inputs=INPUTS), eqs.compiled(tangent=True, inputs=INPUTS)
    for call in (lambda: f(0.0, state, out), lambda: g(0.0, state, zero, out, out)):
        with pytest.raises(InputError, match=sentence):
            call()
    with pytest.raises(InputError, match="out_v is an array"):
        g(0.0, STATE, zero, out, np.zeros(2))


def test_signals_of_time_are_taken_at_the_time_of_the_call():
    h = cases.hamiltonian(target=lambda t: TARGET * np.cos(t))
    rhs = h.characteristic_equations().compiled(inputs=lambda t: INPUTS * t)
    out = np.empty(STATE.size)
    for t in (0.0, 1.3):
        rhs(t, STATE, out)
        expected = cases.rates(t, STATE, inputs=lambda t: INPUTS * t, target=lambda t: TARGET * np.cos(t))
        np.testing.assert_allclose(out, expected, rtol=1e-13, atol=1e-14)


def test_networks_of_one_form_share_one_kernel():
    other = NeuralHamiltonian(
        Network(5, 1, mask=np.ones((5, 7))), 2.0, 3.0, QuadraticCost(), dynamical=np.ones((5, 7))
    ).characteristic_equations()
    assert numerics.kernels_of(other).signature == cases.kernels().signature
    assert cases.kernels().signature != cases.kernels("linear").signature


def test_kernels_are_built_where_nothing_can_be_kept(tmp_path, monkeypatch):
    (tmp_path / ".qnnsym").write_text("a file in the place of the folder")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    eqs = NeuralHamiltonian(Network(1, activation="linear"), 1.0, 1.0).characteristic_equations()
    kernels = numerics.kernels_of(eqs)
    out = np.empty(6)
    numerics.compiled(eqs, kernels=kernels)(0.0, np.array([0.5, 1.0, 2.0, 3.0, 0.0, 0.0]), out)
    np.testing.assert_allclose(out, [2 + 3 * 0.5 - 0.5, 1 - 3, 0, 0, -1, -0.5])
    assert kernels.path.is_relative_to(tmp_path / "elsewhere") and (tmp_path / ".qnnsym").is_file()


# solutions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs, target", [(INPUTS, TARGET), (lambda t: INPUTS * np.cos(t), lambda t: TARGET * t)])
def test_solutions_are_those_of_another_integrator(inputs, target):
    eqs = cases.hamiltonian(target=target).characteristic_equations()
    times = np.linspace(0, 2, 5)
    found = numerics.solve(eqs, times, Y0, COSTATE0, W0, M0, inputs, kernels=cases.kernels(), rtol=1e-10)
    expected = solve_ivp(
        lambda t, s: cases.rates(t, s, inputs=inputs, target=target), (0, 2), STATE, "DOP853", times,
        rtol=1e-11, atol=1e-13,
    )  # fmt: skip
    assert found.success and found.names == component_names(Data(eqs))
    np.testing.assert_allclose(found.states, expected.y.T, rtol=0, atol=1e-8)
    assert ("H" in found.expect) is not callable(inputs)


def test_final_state_of_the_driver_is_that_of_the_solution():
    eqs = cases.equations()
    solution = numerics.solve(eqs, (0, 2, 9), Y0, COSTATE0, W0, M0, INPUTS, kernels=cases.kernels(), rtol=1e-11)
    np.testing.assert_allclose(integrate((0, 2)), solution.final, rtol=0, atol=1e-10)


def test_a_solution_backwards_in_time_returns_to_its_beginning():
    back = integrate((2.0, 0.0), integrate((0.0, 2.0)))
    np.testing.assert_allclose(back, STATE, rtol=0, atol=1e-9)
    assert np.abs(integrate((0.0, 2.0)) - STATE).max() > 0.5


def test_conservation_of_energy_improves_with_the_tolerance():
    """H is evaluated from its definition; its drift follows rtol down over four decades."""
    start = cases.energy(STATE)
    drifts = [abs(cases.energy(integrate((0.0, 4.0), rtol=rtol)) - start) for rtol in (1e-5, 1e-7, 1e-9, 1e-11)]
    assert all(fine < coarse / 5 for coarse, fine in itertools.pairwise(drifts)), drifts
    assert drifts[-1] < 1e-9


def test_a_solution_reports_the_energy_of_its_definition():
    solution = numerics.solve(
        cases.equations(), (0, 2, 5), Y0, COSTATE0, W0, M0, INPUTS, kernels=cases.kernels(), rtol=1e-10
    )
    expected = [cases.energy(s) for s in solution.states]
    np.testing.assert_allclose(solution.expect["H"], expected, rtol=1e-13)
    assert solution.diagnostics["H_drift"] == pytest.approx(np.ptp(expected) / max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kinetic, sign", [("plus", 1), ("minus", -1)])
@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_rates_leave_the_energy_unchanged_for_both_signs(activation, kinetic, sign):
    """dH/dt = dH . rates, the gradient of H by complex steps."""
    eqs = cases.hamiltonian(activation).characteristic_equations(kinetic=kinetic)
    rates = np.concatenate([np.ravel(part) for part in eqs.rhs(0, Y0, COSTATE0, W0, M0, inputs=INPUTS).values()])
    steps = np.eye(STATE.size) * 1e-30j
    gradient = np.array([cases.energy(STATE + step, activation, sign=sign).imag for step in steps]) / 1e-30
    assert abs(gradient @ rates) < 1e-13 * np.abs(gradient * rates).sum()
    assert numerics.energy(Data(eqs, inputs=INPUTS), STATE) == pytest.approx(
        cases.energy(STATE, activation, sign=sign), rel=1e-14
    )


def test_the_flow_keeps_the_symplectic_form_of_what_moves():
    neurons = range(N)
    moving = np.flatnonzero(FREE.ravel())
    order = np.array([*neurons, *(2 * N + moving), *(N + k for k in neurons), *(2 * N + MASK.size + moving)])
    columns = []
    for index in order:
        direction = np.zeros(STATE.size)
        direction[index] = 1
        both = integrate((0.0, 1.0), np.concatenate([STATE, direction]), tangent=True)
        columns.append(both[STATE.size :][order])
    jacobian = np.array(columns).T
    assert symplectic_defect(jacobian) < 1e-9
    assert abs(np.linalg.slogdet(jacobian)[1]) < 1e-9
    assert symplectic_defect(np.eye(len(order)) * 1.01) > 1e-3 and np.abs(jacobian - np.eye(len(order))).max() > 0.5


def test_missing_and_static_weights_stay_what_they_are():
    final = Data(cases.equations()).unpack(integrate((0.0, 3.0)))
    np.testing.assert_array_equal(final["weights"][~FREE], W0[~FREE])
    np.testing.assert_array_equal(final["momenta"][~FREE], 0)
    assert np.all(final["weights"][FREE] != W0[FREE])


def test_weights_of_infinite_inertia_do_not_move():
    final = Data(cases.equations()).unpack(integrate((0.0, 1.0), inertia=FIXED))
    np.testing.assert_array_equal(final["weights"], W0)
    assert np.all(final["momenta"][FREE] != M0[FREE])


def test_a_linear_network_with_fixed_weights_is_a_matrix_exponential():
    a = ((MASK * W0)[:, L + 1 :] - np.eye(N)) / LAM
    drive = (MASK * W0)[:, : L + 1] @ np.append(INPUTS, 1.0) / LAM
    generator = np.zeros((2 * N + 1, 2 * N + 1))
    generator[:N, :N], generator[:N, -1] = a, drive
    generator[N:-1, :N], generator[N:-1, N:-1], generator[N:-1, -1] = -np.diag(WEIGHT), -a.T, WEIGHT * TARGET
    expected = expm(1.7 * generator) @ np.concatenate([Y0, COSTATE0, [1.0]])
    found = integrate((0.0, 1.7), activation="linear", inertia=FIXED)
    np.testing.assert_allclose(found[: 2 * N], expected[:-1], rtol=1e-9)


def test_without_weights_each_neuron_relaxes_and_its_costate_grows_in_closed_form():
    t = 1.5
    found = integrate((0.0, t), flat(weights=0 * W0, momenta=0 * M0), inertia=FIXED)
    fall, rise = np.exp(-t / LAM), np.exp(t / LAM)
    np.testing.assert_allclose(found[:N], Y0 * fall, rtol=1e-9)
    # Delta' = Delta/lambda - c (y0 exp(-t/lambda) - d), by variation of constants.
    expected = rise * COSTATE0 - WEIGHT * LAM * (Y0 * (rise - fall) / 2 - TARGET * (rise - 1))
    np.testing.assert_allclose(found[N : 2 * N], expected, rtol=1e-9)


def cost_integral(y, weights, t):
    """int E dt along the network's own motion with fixed weights; real or complex."""
    y, weights = np.asarray(y), np.asarray(weights)

    def motion(_, state):
        u = (MASK * weights) @ np.concatenate([INPUTS, [1.0], state[:-1]])
        e = WEIGHT @ (state[:-1] - TARGET) ** 2 / 2 + MU / 2 * np.sum(MASK * weights**2)
        return np.append((np.tanh(u) - state[:-1]) / LAM, e)

    start = np.append(y, 0).astype(complex)
    return solve_ivp(motion, (0, t), start, "DOP853", rtol=1e-11, atol=1e-13).y[-1, -1]


def swept_back(t):
    """Forward with fixed weights, then backward with costates and momenta that end at zero."""
    forward = integrate((0.0, t), flat(momenta=0 * M0), inertia=FIXED)
    ended = flat(y=forward[:N], costate=np.zeros(N), momenta=0 * M0)
    return Data(cases.equations()).unpack(integrate((t, 0.0), ended, inertia=FIXED))


def test_costate_that_ends_at_zero_begins_as_the_gradient():
    steps = 1e-30j * np.eye(N)
    gradient = [cost_integral(Y0 + step, W0, 1.2).imag / 1e-30 for step in steps]
    np.testing.assert_allclose(swept_back(1.2)["costate"], gradient, rtol=1e-7)


def test_momenta_that_end_at_zero_begin_as_the_gradient_in_the_weights():
    """Backpropagation through time: M(T) - M(0) = -dC/dW for the weights that move."""
    found = swept_back(1.2)["momenta"]
    for k, j in [(0, 0), (0, 2), (1, 3), (1, 5), (2, 2), (2, 4)]:
        step = np.zeros(MASK.shape, complex)
        step[k, j] = 1e-30j
        gradient = cost_integral(Y0, W0 + step, 1.2).imag / 1e-30
        assert found[k, j] == (pytest.approx(gradient, rel=1e-7) if FREE[k, j] else 0)


def test_an_ensemble_is_its_trajectories_one_by_one():
    states = np.stack([STATE, STATE * 0.5, STATE * -1.5])
    found = numerics.solve_ensemble(
        cases.equations(), states, (0, 1, 4), INPUTS, kernels=cases.kernels(), rtol=1e-10, atol=1e-12
    )
    for state, trajectory in zip(states, found.states, strict=True):
        parts = Data(cases.equations()).unpack(state).values()
        alone = numerics.solve(cases.equations(), (0, 1, 4), *parts, INPUTS, kernels=cases.kernels(), rtol=1e-10)
        np.testing.assert_allclose(trajectory, alone.states, rtol=0, atol=1e-9)
    for at, sentence in ((2 * N + 4, "A missing synapse has a weight"), (-6, "A static or missing weight has a")):
        wrong = states.copy()
        wrong[1, at] = 1.0
        with pytest.raises(InputError, match=sentence):
            numerics.solve_ensemble(cases.equations(), wrong, (0, 1), INPUTS, kernels=cases.kernels())


def test_many_trajectories_go_eight_at_a_time_unless_the_user_says_otherwise(monkeypatch):
    eqs, times = cases.equations(), (0, 2, 5)
    moving = np.concatenate([np.ones(2 * N), MASK.ravel(), FREE.ravel()])
    states = moving * np.random.default_rng(3).normal(size=(70, STATE.size)) / 2
    inputs = lambda t: np.array([np.sin(t), 0.3])  # noqa: E731
    given = {"inputs": inputs, "kernels": cases.kernels(), "rtol": 1e-10}
    found = {
        choice: numerics.solve_ensemble(eqs, states, times, lanes=choice, **given) for choice in (None, True, False)
    }
    assert np.array_equal(found[None].states, found[True].states)
    assert not np.array_equal(found[None].states, found[False].states)  # the last digits
    np.testing.assert_allclose(found[True].states, found[False].states, rtol=0, atol=1e-11)
    for count in ("steps", "rejected", "evaluations"):
        assert found[True].statistics[count] == pytest.approx(found[False].statistics[count], rel=1e-3)

    def refused(*_):
        raise AssertionError("a few trajectories need no kernel of eight lanes")

    monkeypatch.setattr(numerics, "lanes_of", refused)
    assert numerics.solve_ensemble(eqs, states[:9], times, **given).success
    with pytest.raises(InputError, match="lanes is 8"):
        numerics.solve_ensemble(eqs, states, times, lanes=8, **given)


# a user's cost -------------------------------------------------------------------------------------------------------


def test_a_users_cost_is_conserved_with_its_hamiltonian():
    net = Network(2, 1)
    gamma = sp.Symbol("gamma")
    cost = gamma * (net.y[0] - net.x[0]) ** 4 + net.y[1] * net.W[0, 2] ** 2 + logistic(net.y[0])
    eqs = NeuralHamiltonian(net, 1.0, 2.0, cost, values={"gamma": 0.7}).characteristic_equations()
    rng = np.random.default_rng(6)
    y, costate, w, m = rng.normal(size=2), rng.normal(size=2), rng.normal(size=(2, 4)), rng.normal(size=(2, 4))
    found = eqs.solve((0, 1.5, 4), y, costate, w, m, inputs=[0.3], rtol=1e-11)
    values = []
    for state in found.states:
        y, costate, w, m = state[:2], state[2:4], state[4:12].reshape(2, 4), state[12:].reshape(2, 4)
        drive = np.tanh(w @ [0.3, 1.0, *y])
        e = 0.7 * (y[0] - 0.3) ** 4 + y[1] * w[0, 2] ** 2 + 1 / (1 + np.exp(-y[0]))
        values.append(costate @ (drive - y) + np.sum(m**2) / 4 + e)
    np.testing.assert_allclose(found.expect["H"], values, rtol=1e-12)
    assert np.ptp(values) < 1e-8 and np.ptp(found.states[:, 6]) > 0.05


# data --------------------------------------------------------------------------------------------------------------


def test_parameters_come_in_the_order_of_the_kernel():
    h = cases.hamiltonian(["tanh", "linear", "tanh"])
    found = Data(h.characteristic_equations()).par
    expected = [LAM, OMEGA, MU, *WEIGHT, *MASK.ravel(), *MOVES.ravel(), 1, 0, 1, 0, 1, 0]
    np.testing.assert_array_equal(found, expected)


def test_values_given_for_a_run_come_before_those_of_the_hamiltonian():
    tau = sp.Symbol("tau")
    eqs = NeuralHamiltonian(Network(1), tau, 2.0, QuadraticCost(), values={"tau": 1}).characteristic_equations()
    np.testing.assert_array_equal(Data(eqs).par[:3], [1, 2, 0])
    np.testing.assert_array_equal(Data(eqs, {"tau": 5, "mu": 0.5}).par[:3], [5, 2, 0.5])
    np.testing.assert_array_equal(Data(eqs).par[:3], [1, 2, 0])


def test_states_are_packed_row_by_row_and_unpacked_again():
    data = Data(cases.equations())
    np.testing.assert_array_equal(data.pack(Y0, COSTATE0, W0, M0), STATE)
    parts = data.unpack(STATE)
    assert list(parts) == ["y", "costate", "weights", "momenta"]
    np.testing.assert_array_equal(parts["weights"], W0)
    np.testing.assert_array_equal(parts["momenta"], M0)
    names = component_names(data)
    assert len(names) == STATE.size and names[: N + 1] == ("y_0", "y_1", "y_2", "Delta_0")
    assert names[2 * N] == "W_0_0" and names[2 * N + L + 1 + N] == "W_1_0" and names[-1] == "M_2_5"


def test_activation_values_follow_each_neurons_choice():
    h = NeuralHamiltonian(Network(4, activation=["relu", "tanh", "relu", sp.Symbol("a") * sp.Symbol("u")]), 1, 1)
    numbers = {s: 2.0 for s in h.scalars}
    found = activation_values(h, np.array([-1.0, 0.5, 1.5, 3.0]), numbers)
    np.testing.assert_allclose(found, [0, np.tanh(0.5), 1.5, 6])
    step = activation_values(h, np.array([-1.0, 0.5, 1.5, 3.0]) + 1e-30j, numbers).imag / 1e-30
    np.testing.assert_allclose(step, [0, 1 - np.tanh(0.5) ** 2, 1, 2])


# models --------------------------------------------------------------------------------------------------------------


def model(**changes):
    given = {
        "name": "network",
        "hamiltonian": cases.hamiltonian(),
        "state": {"y": Y0, "costate": COSTATE0, "weights": W0, "momenta": M0},
        "inputs": INPUTS,
        "times": (0, 1, 3),
    }
    return Model(**{**given, **changes})


def test_a_model_is_solved_with_its_options_and_remembers_its_numbers():
    found = numerics.solve_model(model(options={"rtol": 1e-10, "kinetic": "plus"}), cases.kernels())
    np.testing.assert_allclose(found.final, integrate((0, 1)), atol=1e-8)
    assert found.provenance["parameters"] == {"lambda": LAM, "omega": OMEGA, "mu": MU}
    assert found.provenance["signature"] == cases.kernels().signature


def test_costates_and_momenta_begin_at_zero_where_they_are_not_given():
    state = numerics.initial_state(model(state={"y": Y0, "weights": W0}))
    np.testing.assert_array_equal(state["costate"], np.zeros(N))
    np.testing.assert_array_equal(state["momenta"], np.zeros(MASK.shape))


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"state": None}, r"The state of network is None; give dict\(y=, costate=, weights=, momenta=\)"),
        ({"state": {"y": Y0}}, "give dict"),
        ({"state": {"y": Y0, "weights": W0, "w": 1}}, "The state of network has w; its parts are y, costate, weights"),
        ({"options": {"tol": 1}}, r"The option\(s\) tol of network are not known; use method, rtol, atol"),
        ({"options": {"method": "euler"}}, "euler"),
        ({"options": {"rtol": -1}}, "rtol is -1; give a positive number"),
        ({"inputs": None}, "The network has 2 inputs and none are given"),
        ({"times": (0, 1)[:1]}, "times"),
        ({"values": {"omega": 0}}, "The parameter omega is 0; give a positive number"),
    ],
)
def test_models_that_cannot_be_solved_say_why(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        numerics.solve_model(model(**changes), cases.kernels())


def test_a_run_that_ends_before_its_second_time_is_an_error_of_the_solver():
    huge = {"y": Y0, "costate": 1e300 * np.ones(N), "weights": 1e10 * W0, "momenta": M0}
    with pytest.raises(SolverError, match=r"The run of network ended at its first time\. The"):
        numerics.solve_model(model(state=huge, times=(0, 1e3, 3)), cases.kernels())


def test_a_run_that_ends_early_keeps_what_it_reached_and_says_so():
    found = numerics.solve_model(model(times=(0, 5, 101), options={"max_steps": 20}), cases.kernels())
    assert not found.success and 1 < len(found.times) < 101 and "raise max_steps" in found.warnings[0]


@pytest.mark.parametrize(
    "state, sentence",
    [
        (STATE[:-1], r"The flat state has the shape \(41,\); it needs \(42,\)"),
        (np.full(STATE.size, np.nan), "The flat state holds NaN"),
    ],
)
def test_flat_states_are_checked(state, sentence):
    with pytest.raises(InputError, match=sentence):
        integrate((0, 1), state)


def test_a_network_of_many_neurons_runs_on_the_same_kernel():
    """The text does not depend on N; its numbers are checked against the spec at another size too."""
    n = 37
    rng = np.random.default_rng(9)
    ones = np.ones((n, 1 + 1 + n))
    eqs = NeuralHamiltonian(
        Network(n, 1, mask=ones), 1.0, 1.0, QuadraticCost(), dynamical=ones
    ).characteristic_equations()
    y, costate, w, m = (rng.normal(size=s) for s in ((n,), (n,), ones.shape, ones.shape))
    rhs = numerics.compiled(eqs, inputs=[0.2], kernels=cases.kernels())
    state, out = flat(y, costate, w, m), np.empty(eqs.dimension)
    rhs(0.0, state, out)
    z = np.concatenate([[0.2, 1.0], y])
    f = np.tanh(w @ z)
    local = costate * (1 - f**2)
    expected = flat(f - y, costate - w[:, 2:].T @ local - y, m, -np.outer(local, z))
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
