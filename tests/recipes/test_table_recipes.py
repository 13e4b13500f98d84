"""Tables on the way of images: fitted to the rows of training, both guards of the contract, trees beside the probes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jepakit.commands import embed
from jepakit.commands.running import finish
from jepakit.data import open_table
from jepakit.evaluation import EvaluationConfig
from jepakit.hub import Model
from jepakit.recipes import TableData, find_recipe
from jepakit.recipes.data import data_from
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import score
from jepakit.recipes.signal_splits import fitted_recipe
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.recipes.table_splits import center_and_scale
from jepakit.storage import Run, config_to_dict, read_json
from jepakit.types import UserError

NUM = 120


def table_file(folder: Path, num: int = NUM) -> Path:
    """Write a table in which the class follows from a number and a colour; some values are missing."""
    rows = ["size,weight,colour,kind"]
    for i in range(num):
        kind = i % 2
        weight = "" if i % 7 == 0 else f"{100 + 10 * kind + i % 5}"
        rows.append(f"{kind + (i % 10) / 20},{weight},{('red', 'blue', 'green')[(i // 2 + kind) % 3]},{'ab'[kind]}")
    path = folder / "table.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def tiny(name: str, path: Path, **data: Any) -> Any:
    recipe: Any = find_recipe(name)()
    encoder = replace(recipe.method.encoder, dim=16, depth=1, num_heads=2, mlp_dim=32)
    return replace(
        recipe,
        method=replace(recipe.method, encoder=encoder, predictor_dim=16, predictor_heads=2),
        data=replace(recipe.data, train=str(path), **{"labels": "kind"} | data),
        training=replace(recipe.training, num_steps=4, batch_size=16, warmup_steps=0),
    )


def test_a_recipe_learns_its_table_from_the_rows_of_training_alone(tmp_path: Path) -> None:
    path = table_file(tmp_path)
    recipe = fitted_recipe(tiny("table-ijepa", path))
    assert isinstance(recipe.data, TableData)
    assert recipe.data.columns == ("size", "weight", "colour")
    assert recipe.data.num_categories == (0, 0, 3)
    assert recipe.data.categories == ("blue", "green", "red")
    assert recipe.method.preprocess.channels == 5 and recipe.method.encoder.image_size == (4, 1)
    sources = open_sources(recipe.data)
    assert sources.test is not None
    lines = path.read_text().splitlines()
    for row in sources.test.indices.tolist():
        _size, _weight, colour, kind = lines[row + 1].split(",")
        lines[row + 1] = f"{1e6},{1e6},{colour},{kind}"
    path.write_text("\n".join(lines) + "\n")
    again = fitted_recipe(tiny("table-ijepa", path))
    assert again.method.preprocess == recipe.method.preprocess
    assert data_from(config_to_dict(recipe.data)) == recipe.data


def test_scales_are_robust_and_never_zero() -> None:
    rows = torch.tensor([[float(i), 5.0, 0.0, 1.0] for i in range(101)])
    rows[0, 0], rows[3, 1], rows[4, 2] = 1e9, float("nan"), 10.0
    center, scale = center_and_scale(rows)
    assert center[0] == pytest.approx(51, abs=1) and scale[0] == pytest.approx(50 / 1.349, rel=0.02)
    assert (center[1], scale[1]) == (5.0, 1.0)
    assert center[2] == 0.0 and scale[2] == pytest.approx(float(rows[:, 2].double().std(correction=0)))


@pytest.mark.parametrize("name", ["table-ijepa", "table-values"])
def test_what_is_asked_never_reaches_the_encoder(tmp_path: Path, name: str) -> None:
    recipe = fitted_recipe(tiny(name, table_file(tmp_path)))
    method: Any = recipe.method.build(seed=0, num_steps=2).eval()
    x = method.preprocess(open_sources(recipe.data).train.source.signals[:2])
    hidden = method.hide(torch.arange(2), 0)
    changed = x.clone()
    for target in hidden.target_idx[0].flatten().tolist():
        changed[0, :, target] = 9.0
    assert torch.equal(method.encoder(x, hidden.context_idx), method.encoder(changed, hidden.context_idx))
    before, after = (method.questions(rows, torch.arange(2), 0).z_hat for rows in (x, changed))
    assert torch.equal(before, after)


def test_what_is_shown_reaches_the_target(tmp_path: Path) -> None:
    recipe = fitted_recipe(tiny("table-ijepa", table_file(tmp_path)))
    method: Any = recipe.method.build(seed=0, num_steps=2).eval()
    x = method.preprocess(open_sources(recipe.data).train.source.signals[:2])
    changed = x.clone()
    changed[0, 0, int(method.hide(torch.arange(2), 0).context_idx[0, 1])] += 1.0
    before, after = (method.questions(rows, torch.arange(2), 0) for rows in (x, changed))
    of_first = before.sample == 0
    assert float((before.z - after.z)[of_first].abs().amax(dim=1).min()) > 1e-6
    torch.testing.assert_close(before.z[~of_first], after.z[~of_first])


@pytest.mark.filterwarnings("ignore:.*columns are left out")
def test_from_a_file_to_a_report_and_to_new_rows(tmp_path: Path) -> None:
    run = tmp_path / "run"
    recipe = fitted_recipe(tiny("table-ijepa", table_file(tmp_path)))
    finish(train(recipe, run), recipe, Run(run), probes=("ridge",))
    record = read_json(run / "evaluation.json")
    arms = {score["arm"] for score in record["scores"]}
    assert arms == {"jepa", "random init", "raw features", "boosted trees", "chance"}
    assert {curve["kind"] for curve in record["robustness"]} == {"noise", "missing"}
    assert (run / "report.html").is_file()
    new = tmp_path / "new.csv"
    new.write_text("colour,size,weight\nred,1.0,105\npurple,,\n,,\n")
    embedded = embed(run, new, tmp_path / "z.npy")
    assert embedded.names == [f"row 1 of {new}"] and embedded.z.shape == (1, 16)
    assert [skip.reason for skip in embedded.skipped] == ["nothing was measured"] * 2


def test_views_of_another_kind_of_data_are_one_sentence() -> None:
    method: Any = find_recipe("table-ijepa")().method
    of_series: Any = find_recipe("series-ijepa")().method
    for ours, theirs in ((method, of_series), (of_series, method)):
        with pytest.raises(UserError, match="makes no views of what"):
            replace(ours, augment=theirs.augment)


def test_a_model_takes_rows_as_they_are() -> None:
    method = find_recipe("table-ijepa")().method.build(seed=0, num_steps=1).eval()
    rows = torch.randn(3, 30)
    z = Model(method, {}).encode(rows.numpy())
    torch.testing.assert_close(z, method.encode(method.preprocess(rows[..., None])))


def test_a_row_s_embedding_leaves_out_what_is_missing() -> None:
    method = find_recipe("table-ijepa")().method.build(seed=0, num_steps=1).eval()
    rows = torch.randn(4, 30, 1)
    rows[0, 3:7], rows[2, 0], rows[3, 29] = torch.nan, torch.nan, torch.nan
    x = method.preprocess(rows)
    z = method.encode(x)
    usual = method.encoder(method.preprocess(torch.zeros(1, 30, 1)))[0]
    torch.testing.assert_close(z[1], method.encoder(x)[1].mean(dim=0), rtol=1e-4, atol=1e-5)
    for row, kept in (
        (0, [0, 1, 2, 3, *range(8, 31)]),
        (1, list(range(31))),
        (2, [0, *range(2, 31)]),
        (3, list(range(30))),
    ):
        unusual = method.encoder(x[row, None], torch.tensor([kept]))[0] - usual[kept]
        torch.testing.assert_close(z[row], unusual.mean(dim=0) + usual.mean(dim=0), rtol=1e-4, atol=1e-5)
    assert method.encode(x, tokens=True).shape == (4, 31, 64)


@torch.no_grad()
def test_an_embedding_hardly_moves_with_which_usual_features_are_missing() -> None:
    method = find_recipe("table-ijepa")().method.build(seed=0, num_steps=1).eval()
    rows = 0.1 * torch.randn(64, 30, 1)
    lacking = torch.where(torch.rand(64, 30, 1) < 0.5, torch.nan, rows)
    whole, z = method.encode(method.preprocess(rows)), method.encode(method.preprocess(lacking))
    x = method.preprocess(lacking)
    plain = torch.stack([method.encoder(r[None], (r[1, :, 0] > 0).nonzero().view(1, -1))[0].mean(dim=0) for r in x])
    assert float((z - whole).norm(dim=1).mean()) < 0.5 * float((plain - whole).norm(dim=1).mean())


def test_trees_take_the_place_of_every_probe_and_meet_the_same_draws(tmp_path: Path) -> None:
    recipe = fitted_recipe(tiny("table-ijepa", table_file(tmp_path)))
    probing = read_probing(open_sources(recipe.data), recipe.data, 0, 0, final=False)
    assert probing is not None
    config = EvaluationConfig(probes=("ridge", "knn", "kshot"), shots=(5,), num_draws=2)
    scores = score(recipe.method.build(seed=0, num_steps=1).eval(), probing, config).scores
    trees = {s.name: s for s in scores if s.arm == "boosted trees"}
    assert trees["ridge"].value == trees["knn"].value == 1.0
    assert trees["kshot_5"].n == 2 and trees["kshot_5"].value > 0.8
    assert trees["ridge"].is_floor and trees["ridge"].chosen == "a classifier of its own"


@pytest.mark.parametrize(
    ("num", "sentence"),
    [(1, "has 1 classes in 1 rows"), (8, "at least 10 are needed|leaves|test_fraction|dev_fraction")],
)
def test_too_few_rows_are_one_sentence(tmp_path: Path, num: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        fitted_recipe(tiny("table-ijepa", table_file(tmp_path, num)))


def test_a_table_without_classes_trains_too(tmp_path: Path) -> None:
    recipe = fitted_recipe(tiny("table-ijepa", table_file(tmp_path), labels="none"))
    assert isinstance(recipe.data, TableData) and recipe.data.columns[-1] == "kind"
    assert open_sources(recipe.data).probe is None
    assert len(open_table("diabetes")) == 442
