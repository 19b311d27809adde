"""Results on disk: whole or absent, nothing stale, and pages written again from what lies there."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from qnnsym.checks.check import read_checks
from qnnsym.documents import pages
from qnnsym.documents.pages import rewrite_page, write_index, write_results
from qnnsym.documents.record import RECORD, Record
from qnnsym.errors import InputError, StorageError
from qnnsym.solvers.solution import Solution
from tests.documents.sample import CHECKS, figures, outcome

COMMAND = 'qnnsym run small_model --set "g=2" --full'


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    place = tmp_path_factory.mktemp("written") / "small_model"
    write_results(outcome(), figures(), place, command=COMMAND)
    return place


@pytest.fixture
def folder(written, tmp_path):
    """Results of a run that a test may change."""
    return Path(shutil.copytree(written, tmp_path / "results" / "small_model"))


def _files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_leaves_page_figures_checks_and_data(folder):
    assert set(_files(folder)) == {
        "small_model.html", "small_model.nc", "checks.json", "page.json",
        "evolution.png", "orders.png", "means.png", "activity.png",
    }  # fmt: skip
    assert [c.quantity for c in read_checks(folder / "checks.json")] == [c.quantity for c in CHECKS]
    rows = json.loads((folder / "checks.json").read_text())
    assert set(rows[0]) == {"name", "quantity", "expected", "found", "tolerance", "verdict", "source", "detail"}
    assert list(Solution.load(folder / "small_model.nc").times) == [0, 0.25, 0.5, 0.75, 1]


def test_the_page_says_what_the_run_said(folder):
    text = (folder / "small_model.html").read_text()
    for words in ("The step is coarse.", "The kernels are new.", "qnnsym verify small_model", "Small model", "by hand"):
        assert words in text
    assert "Figure 4." in text and text.count("data:image/png") == 4
    # The figure of a check stands with it, before those of none.
    assert text.index("Orders.") < text.index('id="figures"') < text.index("Activities.")


@pytest.mark.parametrize("form", ["html", "md", "tex"])
def test_a_page_is_written_again_from_its_folder_alone(folder, form):
    before = _files(folder)
    run = outcome()
    path = rewrite_page(run.model, run.derivation, folder, form, command="none")
    assert path == folder / f"small_model.{form}"
    after = _files(folder)
    assert {name: after[name] for name in before} == before
    text = path.read_text()
    assert "--full" in text and "1.98" in text


def test_a_model_that_has_changed_since_is_pointed_out(folder):
    run = outcome()
    run.derivation.latex = {**run.derivation.latex, "equation": r"\partial_t W = 1"}
    page = rewrite_page(run.model, run.derivation, folder, "md", command="")
    assert "the model has changed since" in page.read_text()


def test_stale_figures_go_and_other_files_stay(folder):
    (folder / "notes.txt").write_text("mine")
    (folder / "own.png").write_text("mine")
    write_results(outcome(), figures()[1:2], folder, command=COMMAND)
    left = {name for name in _files(folder) if name.endswith((".png", ".txt"))}
    assert left == {"orders.png", "own.png", "notes.txt"}


def test_pages_in_other_forms_are_renewed_by_the_next_run(folder):
    run = outcome()
    rewrite_page(run.model, run.derivation, folder, "tex", command="")
    run.notes = ["A later run."]
    write_results(run, [], folder, command=COMMAND)
    assert "A later run." in (folder / "small_model.tex").read_text()
    assert not (folder / "small_model.md").exists()


def test_an_error_leaves_the_results_of_the_earlier_run(folder, monkeypatch):
    before = _files(folder)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    run = outcome()
    run.notes = ["A later run."]
    monkeypatch.setattr(Solution, "save", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_results(run, figures()[:1], folder, command=COMMAND)
    assert _files(folder) == before


def test_a_figure_that_cannot_be_drawn_is_a_note_and_names_do_not_clash(tmp_path):
    order = figures()[1]
    found = [order, order, {"kind": "pie", "name": "p"}, {**order, "name": "../x y"}]
    write_results(outcome(), found, tmp_path / "r", command=COMMAND)
    assert {p.name for p in (tmp_path / "r").glob("*.png")} == {"orders.png", "orders2.png", "_x_y.png"}
    assert any("'pie'" in note for note in Record.read(tmp_path / "r").notes)


def test_a_damaged_record_is_said_with_what_mends_it(folder):
    run = outcome()
    record = json.loads((folder / RECORD).read_text())
    record["figures"][0]["file"] = "../../evolution.png"
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(StorageError, match=r"`qnnsym run x` writes it anew"):
        rewrite_page(run.model, run.derivation, folder, "html", command="qnnsym run x")
    write_results(run, figures()[1:2], folder, command=COMMAND)
    (folder / "orders.png").unlink()
    with pytest.raises(StorageError, match="Cannot read"):
        rewrite_page(run.model, run.derivation, folder, "html", command="")


def test_an_unknown_form_is_refused(folder):
    run = outcome()
    with pytest.raises(InputError, match="html, md, tex"):
        rewrite_page(run.model, run.derivation, folder, "pdf", command="")


def test_a_record_is_read_as_it_was_written(folder):
    record = Record.read(folder)
    assert record.to_json() == (folder / RECORD).read_text()
    assert record.counts == {"pass": 1, "fail": 1, "not applicable": 1}
    assert record.diagnostics["error"] == "nan" and record.provenance["hbar"] == 0.1


def test_a_run_that_ended_early_says_what_to_do(tmp_path):
    from qnnsym.solvers.solution import Status

    run = outcome()
    run.solution = replace(run.solution, status=Status.MAX_STEPS)
    text = write_results(run, [], tmp_path / "r", command=COMMAND).read_text()
    assert "raise max_steps" in text


def test_the_index_lists_the_runs_and_what_lies_beside_them(tmp_path, folder):
    results = tmp_path / "results"
    first = outcome("another", results / "another")
    write_results(first, [], first.folder, command="qnnsym run another")
    (results / "damaged").mkdir()
    (results / "damaged" / RECORD).write_text("{")
    path = write_index([first])
    text = path.read_text()
    assert path == results / "index.html"
    assert text.index("another/another.html") < text.index("small_model/small_model.html")
    assert text.count("data-search=") == 2 and "damaged" not in text
    assert "small_model small model: &lt;written&gt; by hand hamiltonian equation h = \\frac" in text


def test_an_index_of_nothing_is_refused():
    with pytest.raises(InputError):
        write_index([])


def test_forms_are_those_of_the_command_line():
    assert list(pages.FORMS) == ["html", "md", "tex"]
