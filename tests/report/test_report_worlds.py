"""The page of a world: success with its floors, what fails, pictures; numbers exact, strings escaped, damage survived."""

import base64
import io
import json
import re
from pathlib import Path

import fake_runs
import fake_worlds
import numpy as np
import pytest
from PIL import Image
from test_report_page import EVIL, Page, page_of

from jepakit.report.comparison import comparison_content
from jepakit.report.diagnosis import diagnosis
from jepakit.report.journeys import journeys
from jepakit.report.material import read
from jepakit.report.worlds import goals

PICTURES = {"episodes": {"paths", "animation", "elites"}, "distance": {"distance"}, "rollout": {"rollout"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_worlds.world_run(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    return page_of(run)


def test_the_page_of_a_world_has_its_sections_in_order(page: Page) -> None:
    order = [a["id"] for tag, a in page.elements if tag == "section" and "id" in a]
    expected = "verdict curves health goals diagnosis paths animation elites distance rollout record"
    assert order == expected.split()
    assert page.open == []
    assert "Not on this page" not in page.text


def test_the_page_of_a_world_loads_nothing_and_is_light(page: Page) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert len(page.source.encode()) < 400_000


def test_every_arm_stands_with_its_intervals_seconds_and_what_it_was_told(page: Page) -> None:
    text = " ".join(page.text.split())
    for arm in fake_worlds.evaluation()["arms"]:
        for measure in ("ends", "comes"):
            told = arm[measure]
            assert f"{100 * told['value']:.1f}%{100 * told['low']:.1f} to {100 * told['high']:.1f}%" in text
        assert arm["note"] in text
    for told in ("21.4 ms", "535 ms", "4.2 µs", "120 µs", "3 ms", "true states", "straight line, uses labels"):
        assert told in text
    for told in ("500 episodes of 200 steps", "two-rooms-dev", "within 4.5 pixels at the last step", "an image"):
        assert told in text
    assert "The manifest was committed before the first result." in text


def test_the_headline_is_success_at_the_end_against_the_best_floor_that_sees_no_more(page: Page) -> None:
    box = page.text[page.text.index("Success at the end") :][:500]
    assert "93.4%" in box
    assert "goals reached at the last step, 91.4 to 95.4% (95% interval over 500 episodes), development split" in box
    assert "+82.6 points (+79.6 to +85.6, paired) above random encoder." in box
    told = goals(fake_worlds.evaluation())
    assert told
    ends = told.tasks[0]
    assert [score.arm for score in ends.scores] == [
        "jepa",
        "straight line, uses labels",
        "random encoder",
        "random policy",
    ]
    assert ends.mark == next(score.dot for score in ends.scores if score.arm == "random encoder")


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.01, 0.05, "above"), (-0.01, 0.05, "cannot be told apart"), (-0.05, -0.01, "worse")]
)
def test_a_gain_is_said_as_strongly_as_its_interval_allows(low: float, high: float, words: str) -> None:
    document = fake_worlds.evaluation()
    document["gains"] = [{"arm": "jepa", "against": "random encoder", "value": 0.02, "low": low, "high": high}]
    told = goals(document)
    assert told
    assert words in told.tasks[0].gain
    assert told.gains == [f"JEPA: {told.tasks[0].gain}"]
    assert told.tasks[1].gain == ""


def test_the_diagnosis_tells_what_fails_with_its_numbers(page: Page) -> None:
    text = page.text[page.text.index("What fails, if anything") :]
    assert fake_worlds.diagnosis()["sentence"] in text
    assert "13.7% (10.0 to 18.1%)" in text
    assert "0.2345" in text
    assert "100 episodes; CEM, 128 candidates" in text
    told = diagnosis(fake_worlds.evaluation())
    assert told
    assert [s.arm for s in told.swaps[0].scores] == [arm["arm"] for arm in fake_worlds.diagnosis()["arms"]]
    assert [s.text for s in told.swaps[0].scores] == ["72.0%", "74.0%", "97.0%", "99.0%"]
    drift, probe = (str(panel.chart.svg) for panel, _ in told.panels)
    assert "step ahead 12\nmodel: 0.3242\nnothing predicted: 0.2918\nchance: 1.1" in drift
    assert "step ahead 0\nposition: 0.998\nwalls: 0.91" in probe


@pytest.mark.parametrize(("fails", "state"), [("nothing", "good"), ("search", "watch"), ("odd thing", "open")])
def test_the_diagnosis_is_drawn_by_what_fails(fails: str, state: str) -> None:
    told = diagnosis({"diagnosis": fake_worlds.diagnosis(fails)})
    assert told
    assert told.state == state


def test_a_run_of_a_world_sees_clips_and_frames(page: Page) -> None:
    assert "clips/s" in page.text
    assert "clips per second" in page.text
    assert "images per second" not in page.text.split("Words on this page")[0]
    assert "world TwoRooms" in " ".join(page.text.split())
    assert "same held-out frames" in page.text


def test_words_of_worlds_are_explained_on_their_pages_alone(page: Page, tmp_path: Path) -> None:
    assert "success ever within" in page.text
    assert "swapping in the truth" not in page_of(fake_runs.full_run(tmp_path)).text


def test_a_world_without_evaluation_asks_for_one(tmp_path: Path) -> None:
    run = fake_worlds.world_run(tmp_path)
    (run / "evaluation.json").unlink()
    page = page_of(run)
    assert not page.ids() & {"goals", "diagnosis"}
    assert "Nothing was played: how often goals are reached is not known." in page.text


@pytest.mark.parametrize(("name", "damage"), [("episodes", None), ("distance", b"PK\x03\x04"), ("rollout", b"")])
def test_lost_and_damaged_arrays_take_their_pictures_alone(tmp_path: Path, name: str, damage: bytes | None) -> None:
    run = fake_worlds.world_run(tmp_path)
    file = run / f"artifacts/{name}.npz"
    file.unlink() if damage is None else file.write_bytes(damage)
    page = page_of(run)
    every = set().union(*PICTURES.values())
    assert page.ids() & every == every - PICTURES[name]
    assert (f"artifacts/{name}.npz could not be read" in page.text) == (damage is not None)


CHANGES = {
    "another number of steps": ("episodes", {"frame_step": np.arange(3)}),
    "places of three numbers": ("episodes", {"path": np.zeros((4, 41, 3))}),
    "no goal": ("episodes", {"goal": None}),
    "words": ("episodes", {"reached": np.array(list("abcd"))}),
    "no round": ("episodes", {"elites": np.zeros((4, 0, 6, 12, 2))}),
    "another extent": ("distance", {"extent": np.zeros((4, 2))}),
    "fewer frames": ("rollout", {"imagined": np.zeros((4, 3, 65, 65, 3), np.uint8)}),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_arrays_that_do_not_agree_are_named_and_not_drawn(tmp_path: Path, change: str) -> None:
    name, changed = CHANGES[change]
    run = fake_worlds.world_run(tmp_path)
    arrays = dict(np.load(run / f"artifacts/{name}.npz")) | changed
    np.savez(run / f"artifacts/{name}.npz", **{key: value for key, value in arrays.items() if value is not None})
    page = page_of(run)
    assert not page.ids() & PICTURES[name]
    assert f"artifacts/{name}.npz could not be shown" in page.text


def test_pictures_need_no_more_than_the_least(tmp_path: Path) -> None:
    run = fake_worlds.world_run(tmp_path)
    arrays = dict(np.load(run / "artifacts/episodes.npz"))
    least = {key: arrays[key] for key in ("frames", "path", "goal", "imagined", "reached")}
    np.savez(run / "artifacts/episodes.npz", **least)
    assert page_of(run).ids() >= {"paths", "animation"}
    assert "elites" not in page_of(run).ids()


def test_places_that_are_no_numbers_or_far_away_draw_nothing_odd(tmp_path: Path) -> None:
    run = fake_worlds.world_run(tmp_path)
    for name in ("episodes", "distance"):
        arrays = dict(np.load(run / f"artifacts/{name}.npz"))
        for key in ("path", "imagined", "plans", "elites", "goal", "distance", "extent", "frame_step", "plan_step"):
            if key in arrays:
                odd = arrays[key].astype(np.float64)
                odd.flat[::3] = np.nan
                odd.flat[1::7] = 1e308
                odd.flat[2::11] = -np.inf
                arrays[key] = odd
        np.savez(run / f"artifacts/{name}.npz", **arrays)
    page = page_of(run)
    assert page.ids() >= {"paths", "animation", "elites", "distance"}
    drawn = re.findall(r' (?:d|x|y|cx|cy|r|width|height)="([^"]*)"', page.source)
    assert not [place for place in drawn if "nan" in place or "inf" in place or "e+" in place]


def test_odd_records_never_crash(tmp_path: Path) -> None:
    odd = [None, True, "x", [], {}, float("nan"), float("inf"), -1e308, 1e308, 5e-324, 10**400]
    for value in odd:
        arm = {key: value for key in fake_worlds.arm("jepa", 0.5, 0.5, 1.0)}
        mixed = arm | {
            "arm": "jepa",
            "ends": {"value": value, "low": value, "high": value, "n": value, "varies": value},
        }
        told = {key: value for key in fake_worlds.diagnosis()}
        lists = told | {
            "arms": [mixed, value],
            "drift": [{"step": value, "model": value}, value, {"step": 1, "model": 2}],
        }
        lists |= {"rank": {"value": value}, "probe": [value, {"factor": value, "true": value, "predicted": [value]}]}
        protocol = {key: value for key in fake_worlds.evaluation()["protocol"]}
        for swaps in (told, lists, value):
            gains = [
                {"arm": value, "against": value, "value": value},
                {"arm": "jepa", "value": 0.1, "low": 0.0, "high": 1},
            ]
            document = {"kind": "world", "arms": [arm, mixed], "gains": gains, "protocol": protocol, "diagnosis": swaps}
            (tmp_path / "evaluation.json").write_text(json.dumps(document))
            assert page_of(tmp_path).open == []


def test_script_like_strings_in_a_world_are_text(tmp_path: Path) -> None:
    run = fake_worlds.world_run(tmp_path)
    text = json.dumps(fake_worlds.evaluation())
    for word in (
        "random policy",
        "summed latent distance",
        "two-rooms-dev",
        "an image",
        "position",
        "true world, true cost",
    ):
        text = text.replace(json.dumps(word), json.dumps(EVIL))
    text = text.replace(json.dumps(fake_worlds.diagnosis()["sentence"]), json.dumps(EVIL))
    (run / "evaluation.json").write_text(text)
    page = page_of(run)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert {a["class"] for tag, a in page.elements if tag == "img"} == {"picture moving"}
    assert page.text.count(EVIL) >= 7


def animations(page: Page) -> list[Image.Image]:
    uris = [a["src"] for tag, a in page.elements if tag == "img"]
    assert all(uri.startswith("data:image/gif;base64,") for uri in uris)
    return [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) for uri in uris]


def test_there_is_an_animation_of_a_success_and_of_a_failure(page: Page) -> None:
    shown = animations(page)
    labels = [a["alt"] for tag, a in page.elements if tag == "img"]
    assert labels == [
        "animation of episode 1, which reached its goal",
        "animation of episode 2, which failed, 33 pixels away",
    ]
    assert [picture.size for picture in shown] == [(260, 260)] * 2
    assert shown[0].n_frames == 21
    shown[0].seek(20)
    last = np.asarray(shown[0].convert("RGB")).astype(int)
    x, y = (4 * fake_worlds.GOALS[0] + 2).astype(int)
    ring = last[y, x - 11 : x - 8].min(axis=0)
    assert ring[1] > ring[0] + 50  # the goal's green
    path = np.linalg.norm(last - (77, 180, 255), axis=-1) < 40
    assert path[: y + 20].sum() > 200


def test_paths_and_elites_are_where_the_arrays_say(run: Path) -> None:
    made = {gallery.name: gallery for gallery in journeys(read(run))}
    arrays = fake_worlds.episodes()
    svg = str(made["paths"].cards[0].pictures[0])
    gone = re.search(r'd="([^"]+)" class="way gone s0"', svg)
    assert gone
    places = np.array([[float(v) for v in pair.split()] for pair in re.split(r" ?[ML]", gone[1])[1:]])
    np.testing.assert_allclose(places, (arrays["path"][0] + 0.5) * 120 / 65, atol=0.06)
    ahead = re.search(r'd="M([\d.]+) ([\d.]+)[^"]*" class="way ahead s1"', svg)
    assert ahead
    np.testing.assert_allclose([float(ahead[1]), float(ahead[2])], places[0], atol=0.06)
    assert [card.caption for card in made["paths"].cards] == ["reached its goal"] * 3 + ["failed, 33 pixels away"]
    assert [len(card.pictures) for card in made["elites"].cards] == [4, 4, 4]
    assert str(made["elites"].cards[0].pictures[0]).count("way elite") == 6
    assert "failed" in made["elites"].cards[2].caption


def test_the_map_lies_where_its_extent_says_and_is_blue_at_the_goal(run: Path) -> None:
    gallery = next(g for g in journeys(read(run)) if g.name == "distance")
    overlay = re.findall(r"<image [^>]+>", str(gallery.cards[0].pictures[0]))[1]
    scale = 120 / 65
    told = {name: float(re.search(rf' {name}="([^"]+)"', overlay)[1]) for name in ("x", "y", "width", "height")}
    assert told == pytest.approx(
        {"x": 4.5 * scale, "y": 4.5 * scale, "width": 56 * scale, "height": 56 * scale}, abs=0.1
    )
    colours = np.asarray(Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", overlay)[1]))))
    row, column = np.unravel_index(fake_worlds.distance()["distance"][0].argmin(), (16, 16))
    assert colours[row, column].tolist() == [0, 34, 77]  # cividis begins here


def test_rollouts_stand_above_each_other(run: Path) -> None:
    gallery = next(g for g in journeys(read(run)) if g.name == "rollout")
    assert [(len(card.pictures), len(card.below)) for card in gallery.cards] == [(9, 9)] * 3
    assert "Shown are 3 of 4." in gallery.lead


def test_a_comparison_tells_success_at_the_end(run: Path) -> None:
    rows = comparison_content([read(run), read(run)], None)["rows"]
    assert rows[0].score == "93.4%, 91.4 to 95.4%, Success at the end, development split"
