"""What a person sees while training runs: a bar on a terminal, lines elsewhere, with loss terms and health in both."""

import io
import sys
from typing import Any

import pytest

from jepakit.training.progress import Bar, Lines, Silent, describe, duration, make_progress

ROW: dict[str, Any] = {
    "step": 50,
    "loss": 1.25,
    "energy": 3.0,
    "term/prediction": 0.5,
    "term/sigreg": 0.0123456,
    "images_per_s": 1234.4,
    "seconds_per_step": 0.5,
    "health": "per_sample_constant",
}
WORDS = "1,234 images/s  2 min 05 s left  loss 1.25  prediction 0.5  sigreg 0.01235  health per sample constant"


def test_a_row_is_told_in_words() -> None:
    assert describe(ROW, 300) == WORDS
    assert "health" not in describe(ROW | {"health": ""}, 300)


def test_lines_say_step_terms_and_health(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.update(ROW, 300)
    lines.say("a sentence")
    lines.close()
    assert capsys.readouterr().err == f"step 50/300  {WORDS}\na sentence\n"


def test_the_bar_of_a_terminal_shows_step_terms_and_health(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    bar = make_progress()
    assert isinstance(bar, Bar)
    bar.update(ROW, 300)
    bar.say("health at step 50: [not markup]")
    bar.close()
    shown = terminal.getvalue()
    for words in ("50/300", "prediction 0.5", "sigreg 0.01235", "health per sample constant", "step 50: [not markup]"):
        assert words in shown, words
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(make_progress(), Lines)
    assert isinstance(make_progress(quiet=True), Silent)


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (65, "1 min 05 s"), (3725, "1 h 02 min")])
def test_a_time_has_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
