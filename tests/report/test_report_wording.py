"""Numbers in words."""

import pytest

from jepakit.report.glossary import TERMS, term
from jepakit.report.wording import duration, finite, number, percent, points, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.93004, "0.93"),
        (1234.56, "1,235"),
        (-0.000123456, "-1.235e-4"),
        (0, "0"),
        (float("inf"), "not finite"),
        (True, "not finite"),
    ],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text


def test_rounding_never_moves_a_number_by_more_than_its_last_digit() -> None:
    for value in (0.0099999, 0.99996, 9.9996, 99.996, 999.96, 123456.7):
        assert float(number(value).replace(",", "")) == pytest.approx(value, rel=6e-4)


def test_numbers_too_large_for_a_float_are_not_finite() -> None:
    assert finite(10**400) is None


def test_points_have_a_sign_and_no_negative_zero() -> None:
    assert [points(v) for v in (0.0951, -0.02, -0.0001)] == ["+9.5", "\u22122.0", "0.0"]


def test_durations() -> None:
    assert [duration(s) for s in (0.0, 59.94, 61, 3599.7, 7261, None)] == [
        "0 s",
        "59.9 s",
        "1 min 1 s",
        "1 h 0 min",
        "2 h 1 min",
        "not finite",
    ]


def test_axis_labels_are_short() -> None:
    assert [short(v) for v in (0.0, 0.0005, 250.0, 12000.0, 5e-7)] == ["0", "0.0005", "250", "12k", "5e-7"]
    assert percent(None) == "not finite"


def test_every_term_explains_itself_in_a_sentence() -> None:
    assert all(entry.meaning.endswith(".") and entry.label for entry in TERMS.values())
    assert term("group_rankme").label == "RankMe per position"
    assert term("unknown_thing") == ("unknown thing", "")
