"""Checks of neural models: each passes on a right model and fails when what it looks at is wrong."""

import numpy as np
import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.checks.check import NOT_APPLICABLE, Context, failed, run_checks
from qnnsym.neural import Network, NeuralHamiltonian, QuadraticCost, limits, numerics
from qnnsym.neural.steps import derive
from qnnsym.solvers.kernels import Kernels
from tests.neural import cases

STATE = {"y": cases.Y0, "costate": cases.COSTATE0, "weights": cases.W0, "momenta": cases.M0}
LAMBDA, INERTIA, DECAY = sp.symbols("lambda omega mu", positive=True)


def model(**changes):
    given = {
        "name": "network",
        "hamiltonian": cases.hamiltonian(),
        "state": STATE,
        "inputs": cases.INPUTS,
        "times": (0, 2, 9),
        "options": {"rtol": 1e-10},
    }
    return Model(**{**given, **changes})


@pytest.fixture(scope="module")
def right():
    """A model, its derivation, kernels and solution."""
    network = model()
    derivation, kernels = derive(network), cases.kernels()
    return Context(network, derivation, kernels, numerics.solve_model(network, kernels, derivation))


def changed(context, **changes):
    return Context(**{**vars(context), "figures": [], **changes})


def wrapped(kernels, change):
    """Kernels that do the right thing and then something to the rates."""

    def wrong(kernel):
        def call(t, state, ext, par, dims, work, out):
            kernel(t, state, ext, par, dims, work, out)
            change(out)

        return call

    return Kernels({name: wrong(k) for name, k in kernels.functions.items()}, kernels.signature)


SPECIFICATIONS = [
    limits.unrolled(), limits.conserved(), limits.symplectic(), limits.linear_activation(), limits.zero_weights(),
    limits.costate_gradient(),
]  # fmt: skip


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=lambda s: s.name)
def test_a_right_model_passes(right, specification):
    rows = run_checks([specification], right)
    assert rows and not failed(rows), rows
    assert all(row.verdict != NOT_APPLICABLE and row.source for row in rows)
    assert all(np.isfinite(row.found) and row.found < row.tolerance <= 1e-7 for row in rows)


# each can fail -----------------------------------------------------------------------------------------------------


def flip_costate(out):
    out[cases.N : 2 * cases.N] *= -1


def slightly_off(out):
    out *= 1 + 1e-10


def not_a_number(out):
    out[-1] = np.nan


@pytest.mark.parametrize("change", [flip_costate, slightly_off, not_a_number])
def test_a_wrong_kernel_is_not_the_unrolled_one(right, change):
    rows = run_checks([limits.unrolled()], changed(right, kernels=wrapped(right.kernels, change)))
    by_sympy = [row for row in rows if "SymPy" in row.quantity]
    assert len(by_sympy) == 2 and failed(by_sympy) == by_sympy
    assert failed(rows) and len(rows) == 5


def test_a_wrong_product_with_the_jacobian_is_seen_by_the_complex_step_alone(right):
    def change(out):
        if out.size == 2 * cases.STATE.size:
            out[cases.STATE.size] += 1e-6

    rows = run_checks([limits.unrolled()], changed(right, kernels=wrapped(right.kernels, change)))
    assert ["complex step" in row.quantity for row in failed(rows)] == [True]


def test_a_drift_of_the_energy_fails(right):
    values = right.solution.expect["H"].copy()
    values[-1] += 1e-5
    wrong = numerics.solve_model(right.model, right.kernels, right.derivation)
    wrong.expect["H"] = values
    context = changed(right, solution=wrong)
    assert len(failed(run_checks([limits.conserved()], context))) == 1
    assert [f["name"] for f in context.figures] == ["conservation_of_H", "activity"]


@pytest.fixture(scope="module")
def dissipative(right):
    """Kernels of the same network whose costates decay where they should grow."""
    eqs = right.derivation.results["equations"]
    lam = eqs.hamiltonian.relaxation
    y, costate, *rest = eqs.equations.equations
    wrong = type(costate)(costate.target, costate.rhs - 2 * sp.IndexedBase(sp.Symbol("D", real=True))[
        costate.target.indices[0]
    ] / lam)  # fmt: skip
    equations = eqs.equations.changed(equations=(y, wrong, *rest))
    return numerics.kernels_of(type(eqs)(eqs.hamiltonian, equations, eqs.kinetic))


@pytest.mark.parametrize(
    "specification", [limits.symplectic(), limits.zero_weights(), limits.costate_gradient()], ids=lambda s: s.name
)
def test_a_flow_that_is_not_hamiltonian_fails(right, dissipative, specification):
    rows = run_checks([specification], changed(right, kernels=dissipative))
    assert failed(rows) == rows


def test_a_flow_that_is_not_hamiltonian_does_not_conserve_the_energy(right, dissipative):
    solution = numerics.solve_model(right.model, dissipative, right.derivation)
    assert failed(run_checks([limits.conserved()], changed(right, solution=solution)))


def test_a_wrong_costate_fails_against_the_matrix_exponential(right, monkeypatch):
    """The equations are derived anew for the linear network: their own slip is found."""
    from qnnsym.neural import characteristic

    derived = characteristic.index_equations

    def wrong(hamiltonian, sign=1):
        equations = derived(hamiltonian, sign)
        y, costate, *rest = equations.equations
        return equations.changed(equations=(y, type(costate)(costate.target, -costate.rhs), *rest))

    monkeypatch.setattr(characteristic, "index_equations", wrong)
    rows = run_checks([limits.linear_activation()], right)
    assert len(failed(rows)) == 1 and rows[0].found > 1e-3


# what the checks take from the model ---------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("lambda", "omega", "mu"), ("tau", "J", "decay")])
def test_numbers_given_by_the_model_reach_every_check(names):
    """Symbols of any name, their numbers in the model and not in the Hamiltonian."""
    lam, omega, mu = sp.symbols(" ".join(names), positive=True)
    h = NeuralHamiltonian(
        cases.hamiltonian().network, lam, omega, QuadraticCost(cases.WEIGHT, cases.TARGET, mu), dynamical=cases.MOVES
    )
    network = model(hamiltonian=h, values=dict(zip(names, (cases.LAM, cases.OMEGA, cases.MU), strict=True)))
    fixed = limits._fixed_weights(network)
    assert [fixed.values[s] for s in fixed.scalars] == [cases.LAM, float("inf"), cases.MU]
    if names[0] == "lambda":  # the kernels of the other tests serve this model too
        derivation, kernels = derive(network), cases.kernels()
        context = Context(network, derivation, kernels, numerics.solve_model(network, kernels, derivation))
        assert not failed(run_checks(SPECIFICATIONS, context))


@pytest.mark.parametrize("masked", [True, False])
def test_the_closed_forms_are_solutions_of_the_affine_system(masked):
    """linear_solution at time zero is the start, and its derivative there the spec's rate."""
    h = cases.hamiltonian("linear", float("inf"))
    if not masked:  # the missing synapses have no weight in the state either
        h = h.changed(network=Network(cases.N, cases.L, "linear"))
    data = numerics.Data(h.characteristic_equations(), None, cases.INPUTS)
    n, small = cases.N, 1e-6
    start = limits.linear_solution(data.eqs, data, STATE, 0.0)
    np.testing.assert_allclose(start, cases.STATE[: 2 * n], rtol=1e-15)
    ahead, behind = (limits.linear_solution(data.eqs, data, STATE, s) for s in (small, -small))
    expected = cases.rates(0, cases.STATE, "linear")[: 2 * n]
    np.testing.assert_allclose((ahead - behind) / (2 * small), expected, rtol=1e-8)


# where they do not apply ---------------------------------------------------------------------------------------------

STEADY = [limits.conserved(), limits.linear_activation(), limits.zero_weights(), limits.costate_gradient()]


@pytest.mark.parametrize("specification", STEADY, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": lambda t: cases.INPUTS * t},
        {"hamiltonian": cases.hamiltonian(target=lambda t: cases.TARGET * t)},
    ],
)
def test_driven_models_say_why_a_check_does_not_apply(specification, changes):
    (row,) = run_checks([specification], Context(model(**changes)))
    assert row.verdict == NOT_APPLICABLE and "depend on time" in row.detail


@pytest.mark.parametrize("specification", STEADY[1:], ids=lambda s: s.name)
def test_closed_forms_are_for_the_quadratic_cost(specification):
    net = Network(2, 1)
    other = NeuralHamiltonian(net, 1, 1, net.y[0] ** 4)
    assert specification.applies(model(hamiltonian=other)) == "The closed form is for the quadratic cost."


def test_nothing_is_symplectic_where_nothing_moves():
    still = cases.hamiltonian(dynamical=np.zeros(cases.MASK.shape))
    assert limits.symplectic().applies(model(hamiltonian=still)) == "No weight moves."
    assert limits.symplectic().applies(model()) is None
    assert limits.unrolled().applies(model()) is None


def test_a_users_cost_is_compared_with_sympy_at_the_networks_own_size():
    net = Network(2, 1, mask=[[1, 1, 0, 1], [1, 1, 1, 1]])
    cost = net.y[0] ** 4 + net.W[0, 0] ** 2 * net.x[0] + net.W[0, 2] + sp.cos(net.t) * net.y[1] + net.W[1, 3] ** 2
    moves = np.ones((2, 4))
    moves[1, 3] = 0
    h = NeuralHamiltonian(net, 1.0, 2.0, cost, dynamical=moves)
    network = model(hamiltonian=h, inputs=[0.3])
    derivation = derive(network)
    eqs = derivation.results["equations"]
    kernels = interpreted(eqs)
    context = Context(network, derivation, kernels)
    rows = run_checks([limits.unrolled()], context)
    assert not failed(rows) and "N = 2, l = 1" in rows[0].quantity and "SymPy" in rows[0].quantity

    def change(out):
        out[2] += 1e-3  # the first costate, where the cost acts

    wrong = run_checks([limits.unrolled()], changed(context, kernels=wrapped(kernels, change)))
    assert rows[0].quantity == wrong[0].quantity and wrong[0] in failed(wrong)


def interpreted(eqs):
    """Kernels by the NumPy emitter: uncompiled, for a network met only once."""
    from qnnsym.codegen.emit import numpy_function
    from qnnsym.codegen.lower import lower

    def kernel(equations):
        function = numpy_function(lower(equations))

        def call(t, state, ext, par, dims, work, out):
            out[:] = function(t, state, ext, par, tuple(dims))

        return call

    return Kernels({"rhs": kernel(eqs.equations), "rhs_jvp": kernel(eqs.tangent)}, "interpreted")
