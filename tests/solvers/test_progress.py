"""The bar: silent at first, off where nobody looks, harmless when the work fails."""

import io

import pytest

from qnnsym.solvers import progress
from qnnsym.solvers.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def watched(monkeypatch):
    """stderr as a terminal; called inside the test, since pytest sets its own stderr after the fixtures."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    return terminal


def test_a_bar_with_its_label_appears_on_a_terminal(monkeypatch):
    screen = watched(monkeypatch)
    with Progress("evolving W") as bar:
        for share in (0.1, 0.5, 1.7):
            bar.update(share)
        assert bar._bar.tasks[0].completed == 1.0  # never beyond the end
    assert "evolving W" in screen.getvalue()
    assert not bar._bar.live.is_started


def test_the_first_second_passes_in_silence(monkeypatch):
    screen = watched(monkeypatch)
    monkeypatch.setattr(progress, "PATIENCE", 60.0)
    with Progress("evolving W") as bar:
        bar.update(0.5)
    assert screen.getvalue() == ""


@pytest.mark.parametrize("show", (False, None))
def test_where_nobody_looks_nothing_is_written(monkeypatch, show):
    screen = watched(monkeypatch)
    quiet = io.StringIO()
    monkeypatch.setattr("sys.stderr", quiet if show is None else screen)
    with Progress("evolving W", show) as bar:
        bar.update(0.5)
    assert quiet.getvalue() == screen.getvalue() == ""


def test_an_error_in_the_work_takes_the_bar_away_and_goes_on(monkeypatch):
    watched(monkeypatch)
    with pytest.raises(KeyboardInterrupt), Progress("evolving W") as bar:
        bar.update(0.5)
        raise KeyboardInterrupt
    assert not bar._bar.live.is_started
