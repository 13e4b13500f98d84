"""The benchmarks stand on the package as it is: each can be imported, and what they train takes a step."""

import argparse
import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from scripts import ROOT, script
from sound_files import write_table
from tiny_runs import tiny_series, tiny_sounds, tiny_world, write_record

from jepakit.data.record import Record
from jepakit.data.recording import FramesInMemory, Recording
from jepakit.planning import LatentDistance
from jepakit.planning.holding import Held
from jepakit.recipes import find_recipe
from jepakit.recipes.signal_splits import fitted_recipe
from jepakit.storage import Run
from jepakit.types import ImageBatch
from jepakit.worlds import Distracted, Heedless, PushT, TwoRooms, Wandering
from jepakit.worlds.trajectories import follow

NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
VERDICT = script("benchmarks/verdict.py")


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_tells_its_command(name: str) -> None:
    module = script(f"benchmarks/{name}.py")
    assert f"python benchmarks/{name}.py" in (module.__doc__ or "")
    assert callable(module.main)


@pytest.mark.parametrize("case", VERDICT.CASES, ids=lambda case: f"{case.name} on {case.data}")
def test_a_case_of_the_verdicts_trains_and_is_measured(case: object) -> None:
    size, channels = {"digits": (8, 1), "cifar": (12, 3)}[case.data]  # type: ignore[attr-defined]
    images = torch.randint(0, 256, (16, channels, size, size), dtype=torch.uint8)
    method = case.build(size, channels, 0, 2)  # type: ignore[attr-defined]
    assert bool(method(ImageBatch(images, torch.arange(16)), 0).loss.isfinite())
    assert all(values["num_samples"] == 16 for values in VERDICT.health(method, images).values())


def test_methods_set_side_by_side_differ_in_length_alone() -> None:
    cifar = script("benchmarks/cifar10.py")
    for name in cifar.METHODS:
        recipe = cifar.recipe_for(name, Path("data"), 1, 100)
        assert recipe.method == find_recipe(name)().method
        assert (recipe.seed, recipe.training.num_steps, recipe.training.warmup_steps) == (1, 100, 10)


def test_settings_of_the_selector_can_be_built() -> None:
    selector = script("benchmarks/selector.py")
    for name, rate in itertools.product(selector.METHODS, selector.FACTORS):
        recipe = selector.recipe_for(name, rate, 10.0)
        assert recipe.method.build(seed=0, num_steps=2).config == recipe.method


def test_the_planners_forms_find_the_same_plan_and_their_work_is_counted() -> None:
    speed = script("benchmarks/planner_speed.py")
    args = speed.arguments(["--quick"])
    told = speed.report(args)  # compares the plans of the kept and the plain form
    assert set(told) == {"kept", "plain", "window", "kept bf16"}
    assert [speed.frames_passed(name, args) for name in ("kept", "plain", "window")] == [5, 25, 15]
    args.history = 1
    assert [speed.frames_passed(name, args) for name in ("kept", "plain", "window")] == [5, 15, 12]
    flop = told["plain"]["gflop"] / told["kept"]["gflop"]
    assert flop == pytest.approx(5.0)


@pytest.mark.parametrize("name", ["TwoRooms", "BouncingBalls"])
def test_surprise_is_measured_beside_its_floors(name: str) -> None:
    benchmark = script("benchmarks/surprise.py")
    args = benchmark.arguments(["--quick", "--worlds", name])
    told = benchmark.report(args)[name]
    kinds = {"TwoRooms": {"told", "wall"}, "BouncingBalls": {"elsewhere", "back", "untimely"}}[name]
    assert set(told["kinds"]) == kinds
    assert set(told["looks"]) == {"colour", "noise"}
    for row in [*told["kinds"].values(), *told["looks"].values()]:
        assert set(row["arms"]) == {"model", "untrained", "persistence", "pixels"}
        told_of = [*row["arms"].values(), row["lawful"], row["found"]]
        assert all(0.0 <= value["low"] <= value["high"] <= 1.0 for value in told_of)
    blind = [
        row["arms"]["pixels"]["value"] for kind, row in told["kinds"].items() if kind in ("told", "wall", "elsewhere")
    ]
    assert blind == [0.5] * len(blind), "pixels alone cannot tell"


def test_a_noisy_tv_stands_behind_all_arms_alike(tmp_path: Path) -> None:
    benchmark = script("benchmarks/noisy_tv.py")
    for background in ("none", "noise", "texture"):
        arms = [benchmark.recipe_of(arm, background, 1, 20) for arm in benchmark.ARMS]
        assert (
            len({(arm.data, arm.training, arm.planning, arm.method.encoder, arm.method.preprocess) for arm in arms})
            == 1
        )
        assert len({type(arm.method) for arm in arms}) == 2
        assert arms[0].method.preprocess.std[0] > (0.1 if background != "none" else 0.0)
    unseen = benchmark.before_another(arms[0])
    assert (arms[0].data.world.texture, unseen.data.world.texture) == (0, 1)
    given = benchmark.arguments(["--seeds", "1", "--out", str(tmp_path), "--episodes", "4"])
    names = list(benchmark.cells_of(given))
    assert len(names) == 8
    told = {name: i for i, name in enumerate(names)}
    records = {
        name: {"reached": [i > 3, True, i < 3, False], "probe": {"true": 1.0, "predicted": 0.9}, "seconds": 1.0}
        for name, i in told.items()
    }
    table = {(row["arm"], row["background"]): row for row in benchmark.rows(records, given)}
    assert set(table) == {(arm, ground) for arm in ("embeddings", "pixels") for ground in benchmark.BACKGROUNDS}
    assert table["embeddings", "none"]["ends"].value == 0.5
    assert "from none" not in table["pixels", "none"] and "from pixels" not in table["pixels", "none"]
    assert table["embeddings", "noise"]["from pixels"].value == 0.25  # the third episode
    assert table["pixels", "unseen"]["from none"].value == 0.0  # one lost, one won


def test_what_a_noisy_tv_is_behind_is_trained_and_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = script("benchmarks/noisy_tv.py")
    given = benchmark.arguments(["--out", str(tmp_path), "--episodes", "2"])
    small = tiny_world()
    data = replace(small.data, world=Distracted(small.data.world, "texture"), behaviour=Heedless(small.data.behaviour))
    recipe = replace(small, data=data)
    monkeypatch.setattr(benchmark, "NUM_PROBED", 8)
    record = benchmark.cell(recipe, benchmark.before_another(recipe), Run(tmp_path / "run"), given)
    assert len(record["reached"]) == 2
    assert set(record["probe"]) == {"true", "predicted"}
    again = benchmark.cell(recipe, recipe, Run(tmp_path / "run"), given)
    assert again["seconds"] == record["seconds"]  # it was trained once
    assert again["probe"]["true"] != record["probe"]["true"]  # and is shown another texture


def test_the_swm_protocol_plays_the_model_beside_a_random_policy() -> None:
    protocol = script("benchmarks/swm_protocol.py")
    recipe = protocol.swm_two_room()
    recipe = replace(recipe, planning=replace(recipe.planning, num_samples=4, num_elites=2, num_iterations=1))
    episodes = protocol.windows(recipe.data.world, 3, clean="strict", split="dev")
    method = recipe.method.build(seed=0, num_steps=1).eval()
    arms = protocol.arms_of(method, recipe, episodes)
    assert [arm.name for arm in arms] == ["jepa, last", "jepa, mean", "random policy"]
    for arm in arms:
        assert arm.reached.shape == (3, protocol.BUDGET + 1) and not arm.reached[:, 0].any()
    assert set(protocol.PUBLISHED) == set(protocol.FILTERS)


def small_push_t(tmp_path: Path) -> tuple[ModuleType, argparse.Namespace]:
    pytest.importorskip("gym_pusht", reason="jepakit[envs] not installed")
    benchmark = script("benchmarks/pusht.py")
    sizes = {"episodes": 1, "held-out": 5, "trajectories": 4, "steps": 20, "train-steps": 1, "workers": 1}
    given = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    folders = [text for name in ("data", "runs") for text in (f"--{name}", str(tmp_path / name))]
    search = ["--samples", "4", "--elites", "2", "--rounds", "1", "--methods", "LeWM", "EB-JEPA"]
    return benchmark, benchmark.arguments([*given, *folders, *search])


@pytest.mark.filterwarnings("ignore")
def test_push_t_is_collected_learned_and_played_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark, args = small_push_t(tmp_path)
    given = {name: benchmark.settings(name, args) for name in args.methods}
    small = {name: (method, replace(training, batch_size=4)) for name, (method, training) in given.items()}
    monkeypatch.setattr(benchmark, "settings", lambda name, _: small[name])
    monkeypatch.setattr(benchmark, "NUM_HEALTH", 16)
    monkeypatch.setattr(benchmark, "PART", 3)
    monkeypatch.setattr(benchmark, "PushT", lambda seed, draw_every=20: PushT(seed=seed, draw_every=draw_every))
    args.out = tmp_path / "rows.json"
    rows = benchmark.report(args)
    assert [json.loads(line) for line in args.out.read_text().splitlines()] == rows
    arms = {(row["arm"], row["filter"]): row for row in rows}
    learned = {"LeWM, last", "LeWM, mean", "EB-JEPA, last", "EB-JEPA, mean"}
    assert {arm for arm, _ in arms} == learned | {"random policy", "doing nothing", "own actions"}
    assert {clean for _, clean in arms} == set(benchmark.FILTERS)
    assert set(benchmark.PUBLISHED) < set(benchmark.FILTERS)
    for clean in benchmark.FILTERS:
        assert arms["own actions", clean]["comes"]["value"] == 1.0
        assert arms["doing nothing", clean]["comes"]["value"] == 0.0 or clean == "published"
    for name in ("PushT", "collect_part"):  # nothing is collected, stepped or learned again
        monkeypatch.setattr(benchmark, name, lambda *_, **__: 1 / 0)
    assert benchmark.report(args) == rows


def test_rows_of_push_t_are_of_the_windows_that_pass() -> None:
    benchmark = script("benchmarks/pusht.py")
    record = {"index": [1, 4, 7], "comes": [True, False, True], "ends": [False, False, True], "seconds": 6.0}
    about = {"seed": 0, "filter": "strict", "arm": "jepa"}
    row = benchmark.row_of(record, torch.tensor([4, 7]), about, torch.tensor([True, False]))
    assert (row["comes"]["value"], row["ends"]["value"], row["comes"]["n"], row["kept"]) == (0.5, 0.5, 2, 0.5)
    both = benchmark.together([row, row | {"seed": 1}, row | {"arm": "random policy"}], None)
    assert [(line["seed"], line["arm"], line["ends"]["n"]) for line in both] == [("all", "jepa", 4)]
    still = torch.zeros(2, 61, 5)
    still[0, 30:, 2] = 40.0
    recording = Recording("made", FramesInMemory(torch.zeros(122, 1, 2, 2, dtype=torch.uint8)),
                          torch.tensor([61, 61]), torch.zeros(122, 2), still.flatten(0, 1))  # fmt: skip
    assert "the T moves in 1% of steps, by what counts in 35% of windows" in benchmark.moved(recording)


def test_planners_side_by_side_share_horizon_and_cost() -> None:
    benchmark = script("benchmarks/planners.py")
    recipe, cost = find_recipe("two-rooms-fixed")(), LatentDistance()
    recipe = replace(recipe, planning=replace(recipe.planning, num_samples=12))
    method = recipe.method.build(seed=0, num_steps=1).eval()
    found = benchmark.planners(recipe, cost, lambda z, goal, left: torch.ones(len(z), 1, 2))
    assert list(found) == ["cem", "icem", "mppi", "gradient", "amortised", "amortised + cem"]
    ids = torch.arange(2)
    start, goal = recipe.data.world.task(ids)
    pictures = [recipe.data.world.render(state) for state in (start, goal)]
    for name, planner in found.items():
        plan = planner(Held(method, recipe.planning.hold), *pictures, ids=ids)
        assert plan.actions.shape == (2, recipe.planning.horizon, 2), name
        assert plan.cost.isfinite().all(), name


def test_lives_differ_in_whether_they_plan_and_share_their_first_round(tmp_path: Path) -> None:
    benchmark = script("benchmarks/agent.py")
    random, plans, roams = (benchmark.recipe_of(arm, 3) for arm in benchmark.ARMS)
    assert replace(plans, planned=0.0) == random
    assert replace(roams.learner, data=random.learner.data) == random.learner
    assert (random.planned, roams.planned, random.learner.seed) == (0.0, 0.0, 3)
    assert plans.planned > 0.0
    lives = {
        f"{arm}-{seed}": {
            "rounds": [{"ends": {"value": 0.1}}] * 2,
            "last": {"reached": [1] * wins + [0] * (4 - wins), "by_chance": [0]},
        }
        for seed in (0, 1)
        for arm, wins in (("random", 1), ("plans", 2 + seed))
    }
    told = benchmark.table(lives, benchmark.arguments(["--seeds", "0", "1"]))
    assert told["success"]["plans"] == [[pytest.approx(0.1), 0.5], [pytest.approx(0.1), 0.75]]
    assert told["gain"]["plans"]["after the last round"]["value"] == pytest.approx(0.375)
    assert told["gain"]["plans"]["after the last round"]["n"] == 2


def test_turned_rooms_show_the_same_pictures_under_other_actions() -> None:
    benchmark = script("benchmarks/modularity.py")
    ids, rooms, turned = torch.arange(5), TwoRooms(seed=3), benchmark.Turned(seed=3)
    made = benchmark.Retold()(turned, ids, 6)
    plain = Wandering()(rooms, ids, 6)
    assert made.states.position.equal(plain.states.position)
    again = follow(turned, made.at(0), made.action)
    assert torch.allclose(again.states.position, plain.states.position, atol=1e-3)
    assert not torch.allclose(made.action, plain.action)


def test_arms_of_modularity_differ_in_what_they_begin_with(tmp_path: Path) -> None:
    benchmark = script("benchmarks/modularity.py")
    args = benchmark.arguments(["--source", str(tmp_path / "source"), "--out", str(tmp_path / "out"), "--episodes", "2",
                                "--probed", "8", "--trajectories", "4", "--head-steps", "2"])  # fmt: skip
    taken, scratch = (benchmark.recipe_of(arm, 100, args) for arm in ("taken", "scratch"))
    assert (taken.encoder_from, scratch.encoder_from) == (str(args.source), None)
    assert (taken.method.freeze_encoder, scratch.method.freeze_encoder) == (True, False)
    assert replace(taken.method, freeze_encoder=False) == scratch.method
    assert (taken.data, taken.training, taken.planning) == (scratch.data, scratch.training, scratch.planning)
    assert taken.method.action_high == pytest.approx((2.8, 2.8))


def test_an_ablation_trains_what_differs_and_plans_otherwise_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = script("benchmarks/ablation.py")
    monkeypatch.setattr(benchmark, "find_recipe", lambda name: tiny_world)
    rows = ["one step ahead", "white noise", "learned cost of paths"]
    given = benchmark.arguments(["--rows", *reversed(rows), "--episodes", "2", "--out", str(tmp_path)])
    table = benchmark.report(given)
    assert [row["row"] for row in table] == ["all", *rows]
    assert table[0]["more"].value == 0.0
    assert {path.name for path in (tmp_path / "fixed" / "runs").iterdir()} == {"all", "one-step-ahead"}
    assert {path.name for path in (tmp_path / "fixed" / "costs").iterdir()} == {"learned-cost-of-paths"}
    with pytest.raises(SystemExit):
        benchmark.arguments(["--rows", "two steps ahead"])


def test_every_row_of_an_ablation_differs_from_the_whole() -> None:
    benchmark = script("benchmarks/ablation.py")
    for study in benchmark.STUDIES.values():
        whole = study.base(benchmark.find_recipe(study.recipe)())
        for name in (*study.trained, *study.planned):
            assert study.change(name)(whole) != whole, name


def test_series_are_forecast_by_every_arm_on_the_same_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = script("benchmarks/series.py")
    monkeypatch.setattr(benchmark, "HORIZONS", (6,))
    path = write_record(tmp_path / "a.csv", num=600)
    names = ("series-ijepa", "series-values")
    recipes = [fitted_recipe(tiny_series(path, name, num_steps=2)) for name in names]
    record = benchmark.cell(recipes, tmp_path / "runs", False, True)
    rows = record["forecast"]["forecasts"]
    assert {row["arm"] for row in rows} >= {*names, "random init", "linear, window normalised", "seasonal naive"}
    assert {row["arm"] for row in record["forecast"]["differences"]} == set(names)
    benchmark.print_forecasts([record])
    benchmark.print_hours([record])
    told = capsys.readouterr().out
    least = min((row for row in rows if row["measure"] == "mse"), key=lambda row: float(row["value"]))
    assert f"  {least['arm']} wins" in told
    assert "series-values - linear, window normalised:" in told and "channel_drop" in told


def test_arms_of_series_differ_in_what_is_predicted_or_hidden_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = script("benchmarks/series.py")
    monkeypatch.setattr(benchmark, "fitted_recipe", lambda recipe: recipe)
    arms = {n: benchmark.recipe_for(n, Path("data"), 2, 100) for n in ("series-ijepa", "series-band", "series-values")}
    assert (
        len({(arm.data, arm.training, arm.seed, arm.method.encoder, arm.method.preprocess) for arm in arms.values()})
        == 1
    )
    assert arms["series-band"].method.mask.along == "time"
    assert arms["series-band"].method.mask.grid == arms["series-ijepa"].method.mask.grid
    quarters = benchmark._quarters(
        Record(torch.zeros(1, 60), ("a",), tuple(f"2020-01-01 {h % 24:02}:00:00" for h in range(60)), 3600.0),
        (0, 60),
        24,
        6,
    )
    assert quarters.labels.tolist() == [3, 0, 1, 2, 3, 0, 1]


def test_sounds_are_learned_and_probed_by_recording_and_by_speaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("soundfile", reason="jepakit[audio] not installed")
    benchmark = script("benchmarks/audio.py")
    write_table(tmp_path / "fsdd.parquet", num=96)
    monkeypatch.setattr(benchmark, "SPEAKERS", ("s0", "s3"))
    monkeypatch.setattr(benchmark, "OFFICIAL", ("0", "1"))
    rule = benchmark.EvaluationConfig
    monkeypatch.setattr(benchmark, "EvaluationConfig", lambda **given: rule(**given | {"shots": (1,)}, num_draws=3))
    monkeypatch.setattr(benchmark, "find_recipe", lambda name: partial(tiny_sounds, tmp_path, name, length=6400))
    typed = ["--data", str(tmp_path), "--out", str(tmp_path / "out"), "--train-steps", "2"]
    official = benchmark.report(benchmark.arguments([*typed, "--final", "--robustness"]))
    (record,) = official["audio-transform"]
    told = record["evaluation"]
    assert (told["protocol"]["split"], told["protocol"]["num_test"]) == ("test", 24)
    assert {score["arm"] for score in told["scores"]} == {"jepa", "random init", "chance"}
    assert {score["arm"] for score in official["floors"][0]["evaluation"]["scores"]} == {
        "log-mel",
        "log-mel statistics",
        "chance",
    }
    assert {curve["kind"] for curve in told["robustness"]} == {"noise", "gap", "muffle"}
    alone = benchmark.report(benchmark.arguments([*typed, "--by", "speaker"]))
    assert len(alone["audio-transform"]) == 2
    data = [benchmark.recipe_for("audio-transform", 0, by, benchmark.arguments([*typed, "--by", "speaker"])).data
            for by in benchmark.SPEAKERS]  # fmt: skip
    assert [(one.test_values, one.group) for one in data] == [(("s0",), "speaker"), (("s3",), "speaker")]
    assert "over its random start" in capsys.readouterr().out


def test_anomalies_are_scored_beside_floors_by_the_same_number_of_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benchmark = script("benchmarks/anomalies.py")

    def untrained(recipe: Any, *_: object) -> Any:
        method = recipe.method.build(seed=0, num_steps=1)
        return SimpleNamespace(method=method, result=SimpleNamespace(require_whole=lambda: None))

    monkeypatch.setattr(benchmark, "train", untrained)
    hour = torch.arange(6000.0)
    values = (hour[:, None] * (2 * torch.pi / 24) + torch.arange(3.0)).sin() + 0.1 * torch.randn(
        6000, 3, generator=torch.Generator().manual_seed(0)
    )
    rows = ["a,b,c", *(",".join(f"{value:.4f}" for value in row) for row in values.tolist())]
    (tmp_path / "etth1.csv").write_text("\n".join(rows))
    args = benchmark.arguments(["--data", str(tmp_path), "--rows", "6000", "--num", "5"])
    told = benchmark.report(args)
    arms = {"I-JEPA", "values", "random init", "rolling z-score", "persistence", "seasonal difference"}
    assert {arm: len(settings) for arm, settings in told["tried"].items()} == dict.fromkeys(arms, 6)
    assert list(told["kinds"]) == ["spike", "level shift", "frozen", "lost correlation"]
    for table in told["kinds"].values():
        assert set(table) == arms
        assert all(0.0 <= numbers[1] <= numbers[0] <= numbers[2] <= 1.0 for numbers in table.values())
        gain = table["persistence"][3]
        assert gain == pytest.approx(table["I-JEPA"][0] - table["persistence"][0], abs=2e-3)
    assert told["kinds"]["spike"]["persistence"][0] > 0.9  # of four deviations in a smooth record
    assert {arm: len(rates) for arm, rates in told["alarms"].items()} == {"I-JEPA": 4, "values": 4}


def test_clips_are_decoded_beside_plain_forms_that_show_the_same() -> None:
    pytest.importorskip("av", reason="jepakit[video] not installed")
    benchmark = script("benchmarks/video_decoding.py")
    words = "--seconds 2 --fps 10 --clips 1 --rounds 1 --files 2 --sizes 320x240"
    told = benchmark.report(benchmark.arguments(words.split()))
    assert set(told) == {f"320x240 {kind}" for kind in benchmark.KINDS}
    for figures in told.values():
        assert all(figures[name] > 0 for name in benchmark.READERS)
        assert set(figures["opening, s"]) == {"without", "with"}


def test_anomalies_in_sounds_are_put_where_they_say_and_scored_beside_floors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("soundfile", reason="jepakit[audio] not installed")
    benchmark = script("benchmarks/sound_anomalies.py")

    def untrained(recipe: Any, *_: object) -> Any:
        method = recipe.method.build(seed=0, num_steps=1)
        return SimpleNamespace(method=method, result=SimpleNamespace(require_whole=lambda: None))

    monkeypatch.setattr(benchmark, "train", untrained)
    monkeypatch.setattr(benchmark, "LENGTH", 8320)
    monkeypatch.setattr(benchmark, "RATES", (0.05,))
    kinds = benchmark.KINDS
    monkeypatch.setattr(benchmark, "KINDS", ("dropout",))
    write_table(tmp_path / "fsdd.parquet", num=480, speakers=2)
    args = benchmark.arguments(["--data", str(tmp_path), "--held-out", "80", "--recipe", "audio-values"])
    told = benchmark.report(args)
    arms = {"audio-values", "audio-values without training", "loudness", "change of spectrum"}
    assert {arm: len(settings) for arm, settings in told["tried"].items()} == dict.fromkeys(arms, 6)
    for table in told["kinds"].values():
        assert set(table) == arms | {f"values less {arm}" for arm in arms - {"audio-values"}}
        assert all(0.0 <= table[arm][1] <= table[arm][0] <= table[arm][2] <= 1.0 for arm in arms)
    assert told["kinds"]["dropout"]["loudness"][0] > 0.9  # among tones that are all as loud
    given = benchmark.recordings_of(benchmark.open_signals(benchmark.recipe_for("audio-values", args).data).test, 0)
    time = torch.arange(8320) - given.begin[:, None]
    for kind in kinds:
        moved = benchmark.inject(kind, given, seed=0) - given.values
        assert not bool(moved[(time < 0) | (time >= benchmark.CHANGED)].any())
        assert bool(moved.any(dim=1).all())
    silent = benchmark.inject("dropout", given, seed=0)[(time >= benchmark.FADE) & (time < 1200)]
    assert not bool(silent.any())
