import json

import pytest
import torch

from jepakit.evaluation.arms import Arm
from jepakit.evaluation.attentive import AttentiveConfig
from jepakit.evaluation.probes import EvaluationConfig
from jepakit.evaluation.table import chance_accuracy, evaluate_arms
from jepakit.random import Stream
from jepakit.types import UserError

CLASSES = 3
TRAIN_Y, TEST_Y = torch.arange(90) % CLASSES, torch.arange(60) % CLASSES


def arm(noise: float, seed: int, is_floor: bool, copies: int = 1, tokens: bool = False) -> Arm:
    centre = 2.0 * Stream(9, "centre").normal(0, torch.arange(CLASSES), 8)
    draw = Stream(seed, "test").normal(0, torch.arange(150), 8 * copies).view(150, copies, 8)
    z = centre[torch.cat((TRAIN_Y, TEST_Y))][:, None] + noise * draw
    test = z[90:, 0]
    return Arm(
        train=z[:90],
        test=test,
        layer="layer",
        pooling="mean",
        is_floor=is_floor,
        tokens=(z[:90, :1].expand(-1, 3, -1), test[:, None].expand(-1, 3, -1)) if tokens else None,
        corrupted=lambda kind, severity: test * (1.0 - severity / 10.0),
    )


ARMS = {
    "jepa": arm(1.2, 0, False, tokens=True),
    "random init": arm(3.0, 1, True),
    "raw pixels": arm(4.0, 2, True),
    "augmented": arm(5.0, 3, True, copies=3),
}
CONFIG = EvaluationConfig(
    num_draws=20,
    shots=(1, 5),
    corruptions=("noise",),
    severities=(1, 2),
    attentive=AttentiveConfig(num_heads=2, num_epochs=2),
)


@pytest.fixture(scope="module")
def evaluation():
    return evaluate_arms(ARMS, TRAIN_Y, TEST_Y, CLASSES, CONFIG)


def test_every_arm_goes_through_every_probe(evaluation):
    cells = {(score.arm, score.name) for score in evaluation.scores}
    probes = ["ridge", "logistic", "knn", "kshot_1", "kshot_5"]
    assert cells >= {(name, probe) for name in (*ARMS, "chance") for probe in probes}
    assert ("jepa", "attentive") in cells
    assert ("raw pixels", "attentive") not in cells
    assert len(cells) == len(evaluation.scores)


def test_scores_have_intervals_that_say_what_varies(evaluation):
    for score in evaluation.scores:
        assert 0.0 <= score.value <= 1.0
        if score.arm == "chance":
            assert (score.low, score.value, score.high) == (1 / 3, 1 / 3, 1 / 3)
            continue
        assert score.low < score.high
        expected = ("label draws", 20) if score.name.startswith("kshot") else ("test items", 60)
        assert (score.varies, score.n) == expected
        assert score.layer == "layer"


def test_better_features_win_against_the_best_floor(evaluation):
    assert {gain.arm for gain in evaluation.gains} == {"jepa"}
    values = {(s.name, s.arm): s.value for s in evaluation.scores}
    for gain in evaluation.gains:
        assert gain.varies == ("label draws and test items" if gain.name.startswith("kshot") else "test items")
        floors = {a: values[gain.name, a] for a in ("random init", "raw pixels", "augmented")}
        assert floors[gain.against] == max(floors.values())
        assert gain.value == pytest.approx(values[gain.name, "jepa"] - max(floors.values()))
        assert 0.0 < gain.low < gain.value < gain.high
    assert "attentive" not in {gain.name for gain in evaluation.gains}  # no floor has tokens


def test_equal_arms_gain_nothing_exactly():
    twins = {"jepa": ARMS["raw pixels"], "floor": ARMS["raw pixels"]}
    twins["jepa"] = Arm(train=twins["floor"].train, test=twins["floor"].test, layer="", pooling="")
    config = EvaluationConfig(probes=("ridge", "kshot"), num_draws=5, shots=(1,))
    for gain in evaluate_arms(twins, TRAIN_Y, TEST_Y, CLASSES, config).gains:
        assert (gain.low, gain.value, gain.high) == (0.0, 0.0, 0.0)


def test_robustness_stands_for_each_arm_and_pooled_probe(evaluation):
    assert {(c.arm, c.probe) for c in evaluation.robustness} == {
        (name, probe) for name in ARMS for probe in ("ridge", "logistic", "knn")
    }
    clean = {(s.arm, s.name): s.value for s in evaluation.scores}
    assert all(c.clean.value == clean[c.arm, c.probe] for c in evaluation.robustness)


def test_the_document_is_json_and_states_the_rule(evaluation):
    document = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert set(document) == {"format", "protocol", "scores", "gains", "robustness"}
    assert document["protocol"]["tried"]["ridge"] == document["protocol"]["tried"]["kshot"] == 38
    assert document["protocol"]["split"] == "dev"
    assert document["robustness"][0]["clean"]["varies"] == "test items"


def test_two_runs_are_equal(evaluation):
    again = evaluate_arms(ARMS, TRAIN_Y, TEST_Y, CLASSES, CONFIG)
    assert again.to_json() == evaluation.to_json()


def test_chance_is_the_most_frequent_train_class():
    assert chance_accuracy(torch.tensor([0, 1, 1]), torch.tensor([1, 1, 1, 0]), 2) == 0.75
    assert chance_accuracy(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 0, 1]), 2) == 0.5


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(UserError, match="chance"):
        evaluate_arms({"chance": ARMS["jepa"]}, TRAIN_Y, TEST_Y, CLASSES, CONFIG)
    with pytest.raises(UserError, match="90 rows and 89 labels"):
        evaluate_arms({"jepa": ARMS["jepa"]}, TRAIN_Y[:-1], TEST_Y, CLASSES, CONFIG)
    with pytest.raises(UserError, match="at least one probe"):
        EvaluationConfig(probes=())
