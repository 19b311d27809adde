"""`--set` on phase-space models: every field, unknown names, new symbols; nothing is evaluated, nothing guessed."""

import pytest
import sympy as sp

from qnnsym import Model
from qnnsym.errors import InputError
from qnnsym.phase_space import GaussianState, PhaseSpace
from qnnsym.phase_space.settings import STATES, changed
from qnnsym.phase_space.steps import derive


def quartic(**fields):
    space = PhaseSpace("x", "p")
    (x,), (p,) = space.x, space.p
    m, g = space.parameters(m=1, g=1)
    arguments = {"hbar": 0.1, "state": GaussianState(a=sp.sqrt(space.hbar), x0=1), "times": (0, 5, 51), **fields}
    return Model("quartic", p**2 / (2 * m) + g * x**4 / 4, space=space, **arguments)


def with_set(model=None, **assignments):
    return changed(model or quartic(), assignments)


def expression(text, space):
    return sp.sympify(text, {s.name: s for s in (*space.variables, space.hbar, *space.defaults)})


def test_no_setting_changes_nothing_but_the_record():
    model = quartic()
    same = changed(model, {})
    assert same.hamiltonian == model.hamiltonian and same.times == model.times and same.state is model.state
    assert same.space == model.space and same.space.defaults == model.space.defaults and same.overrides == {}


def test_hbar():
    found = with_set(hbar="1/20")
    assert found.hbar == sp.Rational(1, 20) and found.overrides == {"hbar": "1/20"}
    assert with_set(hbar="0.05").hbar == sp.Rational(1, 20)


@pytest.mark.parametrize("text", ("0", "-0.1", "x", "(1, 2)", "nan", "oo", "1j", ""))
def test_bad_hbar(text):
    with pytest.raises(InputError):
        with_set(hbar=text)


def test_times():
    assert with_set(times="(0, 2, 21)").times == (0.0, 2.0, 21)
    assert with_set(times="3, -1/2, 5").times == (3.0, -0.5, 5)
    assert type(with_set(times="(0,2,21)").times[2]) is int


@pytest.mark.parametrize(
    "text, sentence",
    (
        ("5", r"times=5 is not \(start, stop, number\)"),
        ("(0, 5)", r"is not \(start, stop, number\)"),
        ("(0, 5, 2.5)", "no whole number of times"),
        ("(0, x, 5)", "x in '.*' is not known"),
    ),
)
def test_bad_times(text, sentence):
    with pytest.raises(InputError, match=sentence):
        with_set(times=text)


def test_parameters():
    found = with_set(m="2", g="1/3")
    assert found.values == {"m": 2, "g": sp.Rational(1, 3)} and found.hamiltonian == quartic().hamiltonian
    kept = with_set(quartic(values={"m": 5}), g="2")
    assert kept.values == {"m": 5, "g": 2}


@pytest.mark.parametrize(
    "text, sentence", (("-1", "declared positive"), ("x", "not known"), ("(1, 2)", "not a number"))
)
def test_bad_parameters(text, sentence):
    with pytest.raises(InputError, match=sentence):
        with_set(m=text)
    with pytest.raises(InputError, match=sentence):
        with_set(H="p**2/2 + k*x**2", k=text)


def test_the_state():
    found = with_set(state="GaussianState(a=sqrt(hbar), x0=1/2, p0=g)")
    hbar, (_, g) = found.space.hbar, found.space.defaults
    assert found.state.extent(found.space)[0] == (sp.Rational(1, 2), sp.sqrt(hbar), g, sp.sqrt(hbar))
    mixed = with_set(state="Mixture([(1/4, FockState(2)), (3/4, CatState(a=0.3, b=1, c=None))])").state
    assert [type(s).__name__ for s in mixed.states] == ["FockState", "CatState"]


@pytest.mark.parametrize(
    "text",
    (
        "GaussianState(a=1)", "CoherentState(1, 0)", "SqueezedState(r=0.5)", "CatState(a=1, b=2)", "CatMixture(1, 2)",
        "ThermalState(beta=2)", "FockState(3)", "Mixture([(1, FockState(0))])",
    ),
)  # fmt: skip
def test_every_state_can_be_named(text):
    state = with_set(state=text).state
    assert type(state).__name__ == text.partition("(")[0] and type(state).__name__ in STATES
    assert state.wigner(PhaseSpace()).has(PhaseSpace().x[0])


@pytest.mark.parametrize(
    "text, sentence",
    (
        ("GausianState(a=1)", "Did you mean GaussianState"),
        ("GaussianState()", "missing a required argument"),
        ("GaussianState(a=-1)", "has to be positive"),
        ("GaussianState(width=1)", "width"),
        ("FockState(1/2)", "non-negative integer"),
        ("FockState(n)", "n in '.*' is not known"),
        ("Mixture([(1/2, FockState(0))])", "sum to"),
        ("__import__('os')", "__import__"),
        ("1", "is not a construction"),
    ),
)
def test_bad_states(text, sentence):
    with pytest.raises(InputError, match=sentence):
        with_set(state=text)


@pytest.mark.parametrize("text, order", (("0", 0), ("2", 2), ("exact", "exact"), ("'exact'", "exact"), ("4", 4)))
def test_the_order(text, order):
    found = with_set(order=text).options["order"]
    assert found == order and type(found) is type(order)


def test_solver_options():
    found = with_set(quartic(options={"workers": 2}), method="strang", tolerance="1e-6", step="1/50", order="2")
    assert found.options == {"workers": 2, "method": "strang", "tolerance": 1e-6, "step": 0.02, "order": 2}
    with pytest.raises(InputError, match="small in 'small' is not known"):
        with_set(tolerance="small")
    with pytest.raises(InputError, match="step=1, 2 is not a number"):
        with_set(step="1, 2")


def test_another_hamiltonian():
    found = with_set(H="p**2/(2*m) + 0.5*x**2 + g*hbar*cos(x)")
    assert found.hamiltonian == expression("p**2/(2*m) + x**2/2 + g*hbar*cos(x)", found.space)
    assert derive(with_set(H="p**2/2 + x**2/2")).results["moyal"].exact


def test_a_new_symbol_comes_with_its_own_setting():
    found = with_set(H="p**2/2 + omega**2*x**2/2", omega="3/2")
    omega = next(s for s in found.space.defaults if s.name == "omega")
    assert found.hamiltonian.has(omega) and omega.is_positive
    assert found.space.defaults[omega] == sp.Rational(3, 2) and found.values["omega"] == sp.Rational(3, 2)
    assert derive(found).steps
    # The model it came from has not changed.
    assert [s.name for s in quartic().space.defaults] == ["m", "g"]


def test_the_space_of_the_model_is_left_alone():
    model = quartic()
    with_set(model, H="p**2/2 + omega*x**2", omega="2", g="5")
    assert [s.name for s in model.space.defaults] == ["m", "g"] and not model.values


@pytest.mark.parametrize(
    "assignments, sentence",
    (
        ({"H": "p**2/2 + omega*x**2"}, "omega in .* is not known.* A new symbol needs its own --set NAME=VALUE"),
        ({"H": "p**2/2 + x**2", "omega": "1"}, "omega does not occur in H"),
        ({"omega": "1"}, r"omega is no parameter of quartic\..*a new symbol comes with its own H"),
        ({"hbarr": "1"}, "hbarr is no parameter of quartic. Did you mean hbar"),
        ({"time": "(0,1,2)"}, "Did you mean times|is not a number"),
        ({"M": "1"}, "M is no parameter"),
        ({"x": "1"}, "x is no parameter"),
        ({"H": "p**2/2 + x**2", "x": "1"}, "phase-space variable"),
        ({"H": "p**2/2 + t*x", "t": "1"}, "reserved"),
        ({"H": "p**2/2 + t*x"}, "t in .* is not known"),
        ({"H": "p**2/2 + kappa*x**2", "kapa": "1"}, "not known"),
        ({"H": "p^2/2"}, r"\*\* instead"),
        ({"H": "p**2/2 + I*x"}, "I in .* is not known"),
        ({"H": "p**2/2 + foo(x)"}, "foo"),
        ({"H": "1/0"}, "divides by zero"),
        ({"H": ""}, "empty"),
    ),
    ids=str,
)
def test_what_is_not_understood_is_said(assignments, sentence):
    with pytest.raises(InputError, match=sentence):
        changed(quartic(), assignments)


def test_everything_at_once():
    found = with_set(
        H="p**2/2 + k*x**4", k="2", hbar="0.2", times="(0, 1, 3)", state="FockState(1)", order="0", method="strang"
    )  # fmt: skip
    assert found.hbar == sp.Rational(1, 5) and found.times == (0.0, 1.0, 3) and found.options["method"] == "strang"
    assert list(found.overrides) == ["H", "k", "hbar", "times", "state", "order", "method"]
