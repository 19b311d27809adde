"""Solutions on disk: everything comes back, attributes say what it is, damaged files are refused."""

import json

import h5py
import numpy as np
import pytest
import sympy as sp
import xarray

from qnnsym.errors import InputError, StorageError
from qnnsym.solvers.solution import Solution, Status, as_times, finite_array, library_versions

PROVENANCE = {
    "model": "quartic",
    "signature": "4c73",
    "parameters": {"m": 1.0, "λ": 0.25},
    "order": "exact",
    "hbar": 0.1,
}
CHECKS = [{"name": "classical limit", "quantity": "order", "expected": 2.0, "found": 1.98, "verdict": "pass"}]


def flat(**changes):
    times = np.linspace(0, 1, 4)
    states = np.arange(12.0).reshape(4, 3)
    return Solution(
        times, states, Status.MAX_STEPS, {"steps": 12.0}, {"table_error": 1e-13}, ["Reached t = 1."], dict(PROVENANCE),
        names=("y[0]", "Δ[0]", "W[0, 1]"), **changes,
    )  # fmt: skip


def on_grid(**changes):
    grid = np.linspace(-2, 2, 8, endpoint=False), np.linspace(-3, 3, 10, endpoint=False)
    states = np.random.default_rng(2).normal(size=(3, 8, 10))
    expect = {"norm": np.ones(3), "x**2": np.arange(3.0), "⟨p⟩": np.array([0.0, np.nan, -1.0])}
    arguments = {"states": states, "expect": expect, "grid": grid, "provenance": dict(PROVENANCE), **changes}
    return Solution(np.array([0.0, 0.5, 2.0]), **arguments)


def same(found, expected):
    assert found.status is expected.status and found.names == expected.names and found.warnings == expected.warnings
    assert np.array_equal(found.times, expected.times)
    assert (found.states is None) == (expected.states is None)
    if found.states is not None:
        assert np.array_equal(found.states, expected.states) and found.states.dtype == float
    assert list(found.expect) == list(expected.expect)
    for name, values in expected.expect.items():
        assert np.array_equal(found.expect[name], values, equal_nan=True)
    assert (found.grid is None) == (expected.grid is None)
    for axis, other in zip(found.grid or (), expected.grid or (), strict=True):
        assert np.array_equal(axis, other)
    assert (found.statistics, found.diagnostics) == (expected.statistics, expected.diagnostics)
    assert found.provenance == expected.provenance


@pytest.mark.parametrize("solution", (flat(), on_grid(), on_grid(states=None), Solution(np.array([0.0]))), ids=range(4))
def test_what_is_saved_is_loaded(tmp_path, solution):
    path = solution.save(tmp_path / "ünïcode name.nc")
    assert path == tmp_path / "ünïcode name.nc" and [p.name for p in tmp_path.iterdir()] == ["ünïcode name.nc"]
    same(Solution.load(path), solution)


def test_flat_states_without_names(tmp_path):
    solution = Solution(np.array([0.0, 1.0]), np.zeros((2, 3)))
    found = Solution.load(solution.save(tmp_path / "a.nc"))
    assert found.names == () and found.states.shape == (2, 3)


@pytest.mark.parametrize("status", Status)
def test_every_status_comes_back(tmp_path, status):
    found = Solution.load(on_grid(status=status).save(tmp_path / "a.nc"))
    assert found.status is status and found.success == (status in (Status.SUCCESS, Status.EVENT))
    assert status.value.endswith(".")


def test_observables_whose_names_differ_in_signs_only_are_kept_apart(tmp_path):
    expect = {
        "x + p": np.zeros(3),
        "x - p": np.ones(3),
        "x*p": np.full(3, 2.0),
        "x/p": np.full(3, 3.0),
        "x__p": np.full(3, 4.0),
    }
    same(Solution.load(on_grid(expect=expect).save(tmp_path / "a.nc")), on_grid(expect=expect))


def test_the_file_says_what_it_is(tmp_path):
    path = on_grid().save(tmp_path / "a.nc", checks=CHECKS)
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        attributes = data.attrs
        assert attributes["Conventions"].startswith("CF-") and attributes["title"] == "quartic"
        assert attributes["status"] == "SUCCESS" and json.loads(attributes["checks"]) == CHECKS
        provenance = json.loads(attributes["provenance"])
        assert provenance["parameters"] == {"m": 1.0, "λ": 0.25} and provenance["signature"] == "4c73"
        versions = json.loads(attributes["library_versions"])
        assert versions == library_versions() and versions["numpy"] == np.__version__
        assert {"python", "qnnsym", "numpy", "scipy", "numba", "sympy", "mpmath"} == set(versions)
        assert data["W"].dims == ("time", "x", "p")
        for name in [*data.variables]:
            assert data[name].attrs["units"] == "1" and data[name].attrs["long_name"], name
        assert "x**2" in data["expect_x__2"].attrs["long_name"]


def test_numbers_of_other_libraries_become_plain_ones(tmp_path):
    provenance = {"a": np.float64(0.5), "n": np.int64(3), "r": sp.Rational(1, 3), "v": np.arange(3), "t": (1, 2)}
    found = Solution.load(on_grid(provenance=provenance).save(tmp_path / "a.nc"))
    assert found.provenance == {"a": 0.5, "n": 3, "r": "1/3", "v": [0, 1, 2], "t": [1, 2]}


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(StorageError, match=r"nowhere\.nc cannot be read as a result .*; run the model again"):
        Solution.load(tmp_path / "nowhere.nc")


@pytest.mark.parametrize("damage", ("empty", "text", "half", "bytes"))
def test_a_damaged_file_is_said(tmp_path, damage):
    path = on_grid().save(tmp_path / "a.nc")
    whole = path.read_bytes()
    middle = len(whole) // 2
    broken = {
        "empty": b"",
        "text": b"no netCDF",
        "half": whole[:middle],
        "bytes": whole[:8] + bytes(64) + whole[72:],
    }
    path.write_bytes(broken[damage])
    with pytest.raises(StorageError, match=r"a\.nc cannot be read as a result"):
        Solution.load(path)


@pytest.mark.parametrize("attribute, value", (
    ("provenance", None), ("status", None), ("expectation_names", None), ("status", "FINE"), ("warnings", "{"),
    ("expectation_names", '["nothing"]'), ("expectation_names", "3"), ("statistics", None),
))  # fmt: skip
def test_a_netcdf_file_of_another_kind_is_said(tmp_path, attribute, value):
    path = on_grid().save(tmp_path / "a.nc")
    with h5py.File(path, "r+") as file:
        del file.attrs[attribute]
        if value is not None:
            file.attrs[attribute] = value
    with pytest.raises(StorageError, match=r"a\.nc cannot be read as a result .*; run the model again"):
        Solution.load(path)


def test_a_foreign_netcdf_file_is_said(tmp_path):
    xarray.Dataset({"a": ("b", np.zeros(3))}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(StorageError, match="cannot be read as a result"):
        Solution.load(tmp_path / "a.nc")


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        flat().save(tmp_path / "file" / "a.nc")
    (tmp_path / "a.nc").mkdir()
    with pytest.raises(StorageError, match="folder stands where the file should go"):
        flat().save(tmp_path / "a.nc")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc", "file"]


def test_saving_again_replaces_the_file(tmp_path):
    flat().save(tmp_path / "a.nc")
    same(Solution.load(on_grid().save(tmp_path / "a.nc")), on_grid())


def test_a_solution_prints_as_a_table():
    lines = str(flat()).splitlines()
    assert lines[0].split() == ["status", "MAX_STEPS"] and "0 to 1, 4 points" in lines[1]
    assert len({line.index(line.split("  ")[-1].strip()) for line in lines[:4]}) == 1  # aligned
    assert lines[-2] == Status.MAX_STEPS.value and lines[-1] == "Reached t = 1."
    assert "8 x 10" in str(on_grid()) and str(on_grid()).count("\n") == 2


def test_the_final_state_needs_states():
    assert np.array_equal(flat().final, [9.0, 10.0, 11.0])
    with pytest.raises(InputError, match="store_states=True"):
        _ = Solution(np.array([0.0])).final


@pytest.mark.parametrize(
    "given, expected",
    (
        ((0, 2, 5), [0, 0.5, 1, 1.5, 2]),
        ((2, 0, 3), [2, 1, 0]),
        ([0, 1, 3], [0, 1, 3]),
        (np.array([0.0, 1.0, 3.0]), [0, 1, 3]),
        ((0.0, 1.0, 3.5), [0, 1, 3.5]),
        ([0.0, 1.0, 3.0], [0, 1, 3]),
        ((0, 1, np.int64(2)), [0, 1]),
        ((sp.Integer(0), sp.Rational(1, 2), sp.Integer(2)), [0, 0.5]),
        ((3, 1), [3, 1]),
    ),
    ids=str,
)
def test_times_are_read(given, expected):
    found = as_times(given)
    assert found.dtype == float and np.array_equal(found, expected)


@pytest.mark.parametrize(
    "given", (None, 3.0, [], [1.0], [[0, 1]], [0, np.nan], [0, 1, 0.5], ["a", "b"], (0, np.inf, 3), (0, 1, 10.0))
)
def test_what_are_no_times_is_said(given):
    with pytest.raises(InputError, match="times"):
        as_times(given)


def test_arrays_are_copied_and_checked():
    value = np.ones(3)
    copy = finite_array(value, (3,), "This")
    copy[0] = 5
    assert value[0] == 1 and copy.dtype == float
    for bad, sentence in (
        ("a", "no array of numbers"),
        ([1.0], r"has the shape \(1,\); it needs \(3,\)"),
        ([1, 2, np.inf], "NaN or inf"),
        ([1, 2, 3 + 0.5j], "has complex entries"),
        (np.array([1, 2, 3 + 0.5j], dtype=object), "has complex entries"),
    ):
        with pytest.raises(InputError, match=f"This .*{sentence}"):
            finite_array(bad, (3,), "This")
    assert finite_array([1, 2 + 0j, 3], (3,), "This").tolist() == [1, 2, 3]
