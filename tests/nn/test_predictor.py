import dataclasses
import json

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor

from jepakit.nn.predictor import MaskedPredictor, MaskedPredictorConfig
from jepakit.types import UserError

CONTEXT_IDX = torch.tensor([[0, 3, 5, 9], [1, 2, 8, 11]])
TARGET_IDX = torch.tensor([[[4, 6], [6, 7], [10, 11]], [[0, 4], [3, 5], [9, 10]]])
FORMS = [(c, p) for c in ("per_question", "once") for p in ("sincos", "rotary")]


def predictor(context_pass: str = "per_question", positions: str = "sincos", **changes: object) -> MaskedPredictor:
    """Return a small predictor whose weights are large enough for every token to matter."""
    torch.manual_seed(0)
    fields = {"embedding_dim": 10, "grid": (3, 4), "dim": 16, "depth": 3, "num_heads": 2} | changes
    model = MaskedPredictorConfig(context_pass=context_pass, positions=positions, **fields).build()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    return model


def context(b: int = 2) -> Tensor:
    return torch.randn(b, 4, 10, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("context_pass", "positions"), FORMS)
def test_one_prediction_per_target(context_pass: str, positions: str) -> None:
    z_hat = predictor(context_pass, positions)(context(), CONTEXT_IDX, TARGET_IDX)
    assert z_hat.shape == (2, 3, 2, 10)
    assert bool(z_hat.isfinite().all())


@pytest.mark.parametrize(("context_pass", "positions"), FORMS)
def test_each_question_is_answered_alone(context_pass: str, positions: str) -> None:
    model = predictor(context_pass, positions)
    together = model(context(), CONTEXT_IDX, TARGET_IDX)
    for question in range(3):
        alone = model(context(), CONTEXT_IDX, TARGET_IDX[:, question : question + 1])
        torch.testing.assert_close(together[:, question : question + 1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("context_pass", "positions"), FORMS)
def test_targets_of_one_question_see_each_other_and_the_context(context_pass: str, positions: str) -> None:
    model = predictor(context_pass, positions)
    z_hat = model(context(), CONTEXT_IDX, TARGET_IDX)
    other = TARGET_IDX.clone()
    other[:, 0, 1] = 8
    assert not torch.allclose(model(context(), CONTEXT_IDX, other)[:, 0, 0], z_hat[:, 0, 0], atol=1e-4)
    changed = context()
    changed[0, 2] += 1.0
    moved = (model(changed, CONTEXT_IDX, TARGET_IDX) - z_hat).abs().amax(dim=(2, 3))
    assert bool((moved[0] > 1e-4).all())
    assert bool((moved[1] == 0).all())


@pytest.mark.parametrize(("context_pass", "positions"), FORMS)
def test_the_order_of_context_and_targets_does_not_matter(context_pass: str, positions: str) -> None:
    model = predictor(context_pass, positions)
    order = torch.tensor([2, 0, 3, 1])
    z_hat = model(context(), CONTEXT_IDX, TARGET_IDX)
    shuffled = model(context()[:, order], CONTEXT_IDX[:, order], TARGET_IDX.flip(-1))
    torch.testing.assert_close(shuffled, z_hat.flip(2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("context_pass", "positions"), FORMS)
def test_both_places_matter(context_pass: str, positions: str) -> None:
    model = predictor(context_pass, positions)
    z_hat = model(context(), CONTEXT_IDX, TARGET_IDX)
    assert not torch.allclose(model(context(), CONTEXT_IDX.flip(-1), TARGET_IDX), z_hat, atol=1e-4)
    assert not torch.allclose(model(context(), CONTEXT_IDX, TARGET_IDX.flip(1)), z_hat, atol=1e-4)


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_the_published_form_is_one_transformer_over_context_and_mask_tokens(positions: str) -> None:
    model = predictor("per_question", positions)
    expected = []
    for q in range(3):
        places = torch.cat((CONTEXT_IDX, TARGET_IDX[:, q]), dim=1)
        tokens = torch.cat((model.embed(context()), model.mask_token.expand(2, 2, -1)), dim=1)
        rotation = None
        if positions == "sincos":
            tokens = tokens + model.position_table[places]
        else:
            rotation = model.position_table[:, places][:, :, None]
        for block in model.blocks:
            tokens = block(tokens, rotation)
        expected.append(model.proj(model.norm(tokens[:, 4:])))
    z_hat = model(context(), CONTEXT_IDX, TARGET_IDX)
    torch.testing.assert_close(z_hat, torch.stack(expected, dim=1), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_cheap_form_is_the_published_one_where_the_context_cannot_see_mask_tokens() -> None:
    paper, once = predictor("per_question", depth=1), predictor("once", depth=1)
    torch.testing.assert_close(
        once(context(), CONTEXT_IDX, TARGET_IDX), paper(context(), CONTEXT_IDX, TARGET_IDX), atol=1e-5, rtol=1e-5
    )
    paper, once = predictor("per_question"), predictor("once")
    assert paper.state_dict().keys() == once.state_dict().keys()
    once.load_state_dict(paper.state_dict())
    difference = once(context(), CONTEXT_IDX, TARGET_IDX) - paper(context(), CONTEXT_IDX, TARGET_IDX)
    assert float(difference.abs().max()) > 1e-4


@pytest.mark.parametrize("context_pass", ["per_question", "once"])
@torch.no_grad()
def test_a_condition_changes_its_own_sample_alone(context_pass: str) -> None:
    model = predictor(context_pass, condition_dim=3)
    condition = torch.randn(2, 3)
    z_hat = model(context(), CONTEXT_IDX, TARGET_IDX, condition)
    other = condition.clone()
    other[1] += 1.0
    moved = (model(context(), CONTEXT_IDX, TARGET_IDX, other) - z_hat).abs().amax(dim=(1, 2, 3))
    assert float(moved[0]) == 0.0
    assert float(moved[1]) > 1e-3


def test_conditions_must_be_what_the_predictor_was_built_for() -> None:
    with pytest.raises(UserError, match=r"condition_dim=3, got a condition of length 0"):
        predictor(condition_dim=3)(context(), CONTEXT_IDX, TARGET_IDX)
    with pytest.raises(UserError, match=r"condition_dim=0, got a condition of length 2"):
        predictor()(context(), CONTEXT_IDX, TARGET_IDX, torch.zeros(2, 2))


@pytest.mark.parametrize(("context_pass", "positions"), FORMS)
def test_every_weight_and_the_context_get_a_gradient(context_pass: str, positions: str) -> None:
    model = predictor(context_pass, positions, condition_dim=3)
    s_x = context().requires_grad_()
    model(s_x, CONTEXT_IDX, TARGET_IDX, torch.randn(2, 3)).pow(2).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
    assert s_x.grad is not None
    assert bool(s_x.grad.any(dim=-1).all())


@torch.no_grad()
def test_bf16_autocast_stays_near_float32() -> None:
    for context_pass, positions in FORMS:
        model = predictor(context_pass, positions)
        with torch.autocast("cpu", torch.bfloat16):
            z_hat = model(context(), CONTEXT_IDX, TARGET_IDX)
        exact = model(context(), CONTEXT_IDX, TARGET_IDX)
        assert float((z_hat.float() - exact).norm() / exact.norm()) < 0.05


def test_the_published_predictor_has_its_22_million_weights_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = MaskedPredictor(embedding_dim=1280, grid=(16, 16), dim=384, depth=12, num_heads=16)
    assert sum(p.numel() for p in model.parameters()) == 12 * 1_774_464 + 1280 * 384 + 384 + 384 * 1280 + 1280 + 3 * 384


def test_the_config_survives_json() -> None:
    config = MaskedPredictorConfig(embedding_dim=10, grid=(3, 4), dim=16, depth=2, num_heads=2)
    stored = json.loads(json.dumps(dataclasses.asdict(config)))
    assert MaskedPredictorConfig(**stored | {"grid": tuple(stored["grid"])}) == config
    assert config.mlp_dim == 64
    with pytest.raises((UserError, TypeCheckError), match=r"per_question'?, '?once"):
        predictor("twice")
