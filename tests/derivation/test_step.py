"""A derivation is executed step by step; a failed obligation stops everything after it."""

from dataclasses import dataclass, field

import pytest
import sympy as sp

from qnnsym import pipeline
from qnnsym.derivation.model import Model
from qnnsym.derivation.obligations import SymbolicZero
from qnnsym.derivation.step import Derivation, Proof, Step
from qnnsym.errors import InputError, ObligationFailed, QnnsymError
from qnnsym.neural import Network, NeuralHamiltonian, characteristic, steps

x = sp.Symbol("x")


@dataclass
class Spy:
    """An obligation that remembers being executed."""

    holds: bool
    executed: list = field(default_factory=list)

    def discharge(self):
        self.executed.append(self.holds)
        return Proof(self.holds, "inspection", "what it was told")


def step(title, obligation):
    return Step(title, "A sentence.", "a", "b", obligation)


def test_proved_steps_are_kept_in_order_with_their_proofs():
    derivation = Derivation("model")
    derivation.prove([step("first", SymbolicZero([x - x])), step("second", Spy(True))])
    assert [(s.title, p.holds) for s, p in derivation.steps] == [("first", True), ("second", True)]
    assert derivation.steps[0][1].method == "symbolic zero"


def test_a_failed_obligation_stops_the_derivation_and_is_named():
    derivation, spies = Derivation("model"), [Spy(True), Spy(False), Spy(True)]
    with pytest.raises(ObligationFailed) as failure:
        derivation.prove(step(f"step {n}", spy) for n, spy in enumerate(spies))
    assert [len(s.executed) for s in spies] == [1, 1, 0]
    sentence = str(failure.value)
    assert sentence.startswith("The derivation of model stops at step 2 (step 1): inspection found what it was told.")
    assert "Nothing after it was derived; mend the step or the model." in sentence
    assert [p.holds for _, p in derivation.steps] == [True, False]
    assert isinstance(failure.value, QnnsymError) and failure.value.exit_status == 1


def test_steps_after_a_failed_one_are_never_made():
    made = []

    def steps():
        for holds in (True, False, True):
            made.append(holds)
            yield step("lazy", Spy(holds))

    with pytest.raises(ObligationFailed):
        Derivation("model").prove(steps())
    assert made == [True, False]


def test_steps_proved_in_several_batches_are_numbered_through():
    derivation = Derivation("model")
    derivation.prove([step("first", Spy(True))])
    with pytest.raises(ObligationFailed, match=r"stops at step 2 \(second\)"):
        derivation.prove([step("second", Spy(False))])


def test_an_error_inside_an_obligation_is_no_proof():
    class Broken:
        def discharge(self):
            raise ZeroDivisionError

    derivation = Derivation("model")
    with pytest.raises(ZeroDivisionError):
        derivation.prove([step("broken", Broken())])
    assert derivation.steps == []


@pytest.fixture
def wrong_model(monkeypatch):
    """A network whose costate equation is derived with the wrong sign."""
    right = characteristic.index_equations

    def wrong(hamiltonian, sign=1):
        equations = right(hamiltonian, sign)
        y, costate, *rest = equations.equations
        return equations.changed(equations=(y, type(costate)(costate.target, -costate.rhs), *rest))

    monkeypatch.setattr(characteristic, "index_equations", wrong)
    return Model("wrong", NeuralHamiltonian(Network(2, 1), relaxation=1, inertia=1))


def test_a_model_with_a_failed_obligation_gives_no_equations(wrong_model):
    with pytest.raises(ObligationFailed, match=r"The derivation of wrong stops at step 3 \(Costate\)"):
        steps.derive(wrong_model)


def test_a_model_with_a_failed_obligation_generates_and_writes_nothing(wrong_model, tmp_path, monkeypatch):
    rendered = []
    monkeypatch.setattr(pipeline, "render", lambda *a, **k: rendered.append(a))
    workspace = pipeline.Workspace(tmp_path)
    (tmp_path / "derivations").mkdir()
    (tmp_path / "derivations" / "wrong.py").write_text('"""Wrong."""\n')
    monkeypatch.setattr(type(workspace), "load_model", lambda self, entry: wrong_model)
    with pytest.raises(ObligationFailed):
        pipeline.generate(["wrong"], workspace=workspace)
    assert rendered == [] and not (tmp_path / "generated").exists()


def test_equations_that_were_never_proved_are_not_rendered():
    model = Model("empty", NeuralHamiltonian(Network(2, 1), relaxation=1, inertia=1))
    with pytest.raises(InputError, match="have no kernels"):
        pipeline.source(model, Derivation("empty"))
