"""A proposed grid stands the refinement; a grid that is too small, or a step that is too long, does not."""

import numpy as np
import pytest

from qnnsym.checks.check import FAIL, PASS
from qnnsym.phase_space import limits
from qnnsym.phase_space.limits.refinement import refined
from tests.phase_space.limits.models import OSCILLATOR, model, solved, verdicts

AXIS = np.linspace(-2.0, 2.0, 40, endpoint=False)


def test_a_proposed_grid_stands_it():
    assert verdicts(refined().run(solved(model()))) == [PASS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{"grid": (AXIS, AXIS)}, {"method": "strang", "step": 0.05}])
def test_a_small_grid_and_a_long_step_fail(options):
    assert verdicts(refined().run(solved(model(OSCILLATOR), **options))) == [FAIL]


def test_old_points_are_among_the_new_ones():
    finer, where = refined()._finer(AXIS)
    np.testing.assert_allclose(finer[where], AXIS, atol=1e-14)
    np.testing.assert_allclose(np.diff(finer), 0.05)


def test_where_it_says_nothing():
    assert "circle" in limits.refined().applies(model(options={"periodic": True}))
    assert "array" in limits.refined().applies(model(state=np.zeros((4, 4))))
