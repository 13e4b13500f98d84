import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor
from transformers import IJepaConfig, IJepaModel

from jepakit.nn.position import resize_table
from jepakit.nn.vit import ViT, ViTConfig
from jepakit.types import UserError


def vit(positions: str = "sincos", depth: int = 2, **changes: object) -> ViT:
    fields = {"image_size": (12, 16), "patch_size": 4, "dim": 24, "num_heads": 2} | changes
    return ViTConfig(depth=depth, positions=positions, **fields).build()


def both_ways(depth: int = 2, size: int = 24) -> tuple[ViT, IJepaModel]:
    """Return our ViT and Hugging Face's I-JEPA with the same random weights."""
    torch.manual_seed(0)
    config = IJepaConfig(
        hidden_size=32,
        num_hidden_layers=depth,
        num_attention_heads=4,
        intermediate_size=96,
        image_size=size,
        patch_size=4,
        layer_norm_eps=1e-6,
    )
    theirs = IJepaModel(config, add_pooling_layer=False).eval()
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn_like(p) * 0.2)
    ours = ViT(image_size=size, patch_size=4, dim=32, depth=depth, num_heads=4, mlp_dim=96).eval()
    theirs.embeddings.position_embeddings.data.copy_(ours.position_table[None])
    ours.load_state_dict(from_hugging_face(theirs.state_dict(), depth))
    return ours, theirs


def from_hugging_face(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Rename I-JEPA's weights in memory (image-video-jepa.md §4.2)."""
    ours = {"patch_embed.weight": state["embeddings.patch_embeddings.projection.weight"].flatten(1)}
    ours["patch_embed.bias"] = state["embeddings.patch_embeddings.projection.bias"]
    for kind in ("weight", "bias"):
        ours[f"norm.{kind}"] = state[f"layernorm.{kind}"]
        for i in range(depth):
            get = {name: state[f"layers.{i}.{name}.{kind}"] for name in (
                "layernorm_before", "layernorm_after", "attention.o_proj", "mlp.fc1", "mlp.fc2",
                "attention.q_proj", "attention.k_proj", "attention.v_proj",
            )}  # fmt: skip
            ours[f"blocks.{i}.norm1.{kind}"] = get["layernorm_before"]
            ours[f"blocks.{i}.norm2.{kind}"] = get["layernorm_after"]
            ours[f"blocks.{i}.attn.qkv.{kind}"] = torch.cat([get[f"attention.{x}_proj"] for x in "qkv"])
            ours[f"blocks.{i}.attn.proj.{kind}"] = get["attention.o_proj"]
            ours[f"blocks.{i}.mlp.fc1.{kind}"] = get["mlp.fc1"]
            ours[f"blocks.{i}.mlp.fc2.{kind}"] = get["mlp.fc2"]
    return ours


def test_tokens_equal_hugging_faces_i_jepa() -> None:
    ours, theirs = both_ways()
    x = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x).last_hidden_state, atol=1e-5, rtol=1e-5)


def test_tokens_at_one_and_a_half_times_the_size_equal_hugging_faces() -> None:
    ours, theirs = both_ways()
    x = torch.randn(2, 3, 36, 36)
    with torch.no_grad():
        wide = theirs(x, interpolate_pos_encoding=True).last_hidden_state
        torch.testing.assert_close(ours(x), wide, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_without_blocks_visible_tokens_are_a_choice_of_all_tokens(positions: str) -> None:
    model = vit(positions, depth=0)
    x = torch.randn(2, 3, 12, 16)
    context_idx = torch.tensor([[3, 0, 7], [11, 2, 5]])
    dense = model(x)
    torch.testing.assert_close(model(x, context_idx), torch.stack([dense[i, context_idx[i]] for i in range(2)]))


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_seeing_every_patch_in_another_order_gives_the_same_tokens(positions: str) -> None:
    model = vit(positions)
    x = torch.randn(2, 3, 12, 16)
    order = torch.randperm(12)
    torch.testing.assert_close(model(x, order.expand(2, -1)), model(x)[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_changing_a_hidden_patch_never_changes_the_context(positions: str) -> None:
    model = vit(positions)
    x = torch.randn(1, 3, 12, 16)
    context_idx = torch.tensor([[0, 5, 10, 11]])
    s_x = model(x, context_idx)
    for patch in range(12):
        row, column = divmod(patch, 4)
        changed = x.clone()
        changed[..., 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1.0
        assert torch.equal(model(changed, context_idx), s_x) == (patch not in (0, 5, 10, 11))


def test_a_patch_is_projected_as_by_a_convolution() -> None:
    model = vit(depth=0, patch_size=(4, 2), in_channels=2)
    x = torch.randn(2, 2, 12, 16)
    weight = model.patch_embed.weight.unflatten(1, (2, 4, 2))
    maps = torch.nn.functional.conv2d(x, weight, model.patch_embed.bias, stride=(4, 2))
    torch.testing.assert_close(model(x), model.norm(maps.flatten(2).mT + model.position_table), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_positions_matter(positions: str) -> None:
    model = vit(positions)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(5.0)  # fresh weights are so small that attention hardly distinguishes anything
    x = torch.randn(1, 3, 4, 4).repeat(1, 1, 3, 4) + 0.1 * torch.randn(1, 3, 12, 16)
    here, there = model(x, torch.tensor([[0, 1]])), model(x[..., :, [*range(12, 16), *range(4, 12), *range(4)]])
    assert not torch.allclose(here[:, 0], there[:, 3], atol=1e-4)


@pytest.mark.parametrize("positions", ["sincos", "rotary"])
def test_other_sizes_regenerate_or_interpolate(positions: str) -> None:
    x = torch.randn(1, 3, 24, 20)
    tokens = {}
    for other_sizes in ("regenerate", "interpolate"):
        torch.manual_seed(0)
        model = vit(positions, other_sizes=other_sizes)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(5.0)
        tokens[other_sizes] = model(x)
        assert tokens[other_sizes].shape == (1, 30, 24)
        grown = vit(positions, other_sizes=other_sizes, image_size=(24, 20))
        grown.load_state_dict(model.state_dict())
        assert torch.allclose(grown(x), tokens[other_sizes], atol=1e-5) == (other_sizes == "regenerate")
    assert not torch.allclose(tokens["regenerate"], tokens["interpolate"], atol=1e-4)


def test_interpolation_stretches_the_table() -> None:
    model = vit(depth=0)
    x = torch.zeros(1, 3, 24, 32)
    expected = model.norm(model.patch_embed.bias + resize_table(model.position_table, (3, 4), (6, 8)))
    torch.testing.assert_close(model(x)[0], expected)


def test_layers_are_given_after_the_final_norm() -> None:
    model = vit(depth=3)
    x = torch.randn(2, 3, 12, 16)
    first, last, also_last = model.forward_layers(x, (0, 2, -1))
    assert torch.equal(last, model(x))
    assert torch.equal(last, also_last)
    tokens = model.patch_embed(x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2))
    torch.testing.assert_close(first, model.norm(model.blocks[0](tokens + model.position_table)))
    with pytest.raises(UserError, match="3 blocks"):
        model.forward_layers(x, (3,))


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    patch=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    positions=st.sampled_from(["sincos", "rotary"]),
    channels=st.integers(1, 4),
)
def test_any_size_and_patch(rows: int, columns: int, patch: tuple[int, int], positions: str, channels: int) -> None:
    size = (rows * patch[0], columns * patch[1])
    model = ViT(size, patch, dim=8, depth=1, num_heads=2, in_channels=channels, positions=positions)
    assert (model.grid, model.num_tokens, model.patch_size) == ((rows, columns), rows * columns, patch)
    tokens = model(torch.randn(2, channels, *size))
    assert tokens.shape == (2, rows * columns, model.embedding_dim)
    assert bool(tokens.isfinite().all())


def test_every_weight_gets_a_gradient() -> None:
    for positions in ("sincos", "rotary"):
        model = vit(positions)
        model(torch.randn(2, 3, 12, 16), torch.tensor([[0, 3], [1, 2]])).pow(3).sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


def test_bf16_autocast_stays_near_float32() -> None:
    for positions in ("sincos", "rotary"):
        model = vit(positions)
        x = torch.randn(2, 3, 12, 16)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = model(x)
        torch.testing.assert_close(tokens.float(), model(x), atol=0.1, rtol=0.05)


@pytest.mark.parametrize(
    ("patch", "dim", "depth", "heads", "mlp_dim", "published"),
    [
        # transformers' IJepaModel at facebook/ijepa_vith14_1k's configuration has 630,762,240 weights, of which
        # 256 * 1280 are its position table, which is no parameter here (image-video-jepa.md §1.2, §4.5).
        (14, 1280, 32, 16, 5120, 630_762_240 - 256 * 1280),
        (16, 1408, 40, 16, 6144, None),
        (16, 384, 12, 6, 1536, 21_665_664 - 384 - 197 * 384),  # timm's vit_small_patch16_224 without class token
    ],
)
def test_published_parameter_counts_on_the_meta_device(
    patch: int, dim: int, depth: int, heads: int, mlp_dim: int, published: int | None
) -> None:
    with torch.device("meta"):
        ours = ViT(224, patch, dim, depth, heads, mlp_dim)
        theirs = IJepaModel(
            IJepaConfig(
                hidden_size=dim,
                num_hidden_layers=depth,
                num_attention_heads=heads,
                intermediate_size=mlp_dim,
                image_size=224,
                patch_size=patch,
            ),
            add_pooling_layer=False,
        )
    num_ours = sum(p.numel() for p in ours.parameters())
    positions = theirs.embeddings.position_embeddings.numel()
    assert num_ours == sum(p.numel() for p in theirs.parameters()) - positions
    assert published is None or num_ours == published
    assert all(p.is_meta for p in ours.parameters())


def test_a_model_built_on_meta_can_be_given_memory_and_weights() -> None:
    for positions in ("sincos", "rotary"):
        with torch.device("meta"):
            model = vit(positions)
        model = model.to_empty(device="cpu")
        model.reset_parameters()
        fresh = vit(positions)
        model.load_state_dict(fresh.state_dict())
        x = torch.randn(1, 3, 12, 16)
        assert torch.equal(model(x), fresh(x))


def test_positions_are_not_saved_and_not_trained() -> None:
    model = vit()
    assert not any("position" in key for key in model.state_dict())
    assert not any("position" in name for name, _ in model.named_parameters())


def test_the_config_survives_json() -> None:
    config = ViTConfig(image_size=32, patch_size=(4, 8), dim=1408, depth=1, num_heads=16, mlp_dim=6144)
    stored = json.loads(json.dumps(dataclasses.asdict(config)))
    assert stored["mlp_dim"] == 6144
    assert ViTConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}) == config
    assert vit().config.mlp_dim == 96
    assert config.grid == (8, 4)


@pytest.mark.parametrize("patch", [2, 4, 8])
def test_a_cosine_stem_begins_with_content_as_large_as_positions(patch: int) -> None:
    x = torch.randn(64, 3, 16, 16)
    for stem, expected in (("cosine", 0.425**0.5), ("linear", 0.02 * 3**0.5 * patch)):
        model = ViT(image_size=16, patch_size=patch, dim=64, depth=1, num_heads=2, stem=stem)
        content = model._embed(x, None)[0] - model.position_table
        assert float(content.detach().square().mean().sqrt()) == pytest.approx(expected, rel=0.1)  # 0.425 = E gelu(z)^2


def test_the_first_blocks_share_their_weights() -> None:
    model, x = vit(depth=3).eval(), torch.randn(2, 3, 12, 16)
    part = model.first_blocks(2)
    torch.testing.assert_close(part(x), model.forward_layers(x, [1])[0])
    assert len(model.blocks) == 3 and part.norm is model.norm
    nothing = model.first_blocks(0)(x)
    torch.testing.assert_close(nothing, model.norm(model._embed(x, None)[0]))
    with pytest.raises(UserError, match="has 3 blocks; got a depth of 4"):
        model.first_blocks(4)


def clips(positions: str = "sincos", **changes: object) -> ViT:
    return vit(positions, **{"num_frames": 6, "tubelet_size": 2} | changes).eval()


def test_a_tubelet_is_projected_as_by_a_convolution_in_time_and_space() -> None:
    model, x = clips(depth=0), torch.randn(2, 6, 3, 12, 16)
    weight = model.patch_embed.weight.view(24, 3, 2, 4, 4)
    expected = torch.nn.functional.conv3d(x.transpose(1, 2), weight, model.patch_embed.bias, stride=(2, 4, 4))
    expected = model.norm(expected.flatten(2).mT + model.position_table)
    torch.testing.assert_close(model(x), expected)
    assert model.grid == (3, 3, 4) and model.num_tokens == 36


@pytest.mark.parametrize("positions", ["sincos", "rotary", "rotary-released", "stored"])
def test_a_hidden_tubelet_never_changes_the_context(positions: str) -> None:
    model, x = clips(positions), torch.randn(2, 6, 3, 12, 16)
    context = torch.tensor([[0, 5, 35], [1, 2, 3]])
    seen = model(x, context)
    changed = x.clone()
    changed[0, 2:4] += 1.0  # tokens 12 to 23
    torch.testing.assert_close(model(changed, context), seen)
    assert (model(changed)[0] - model(x)[0]).abs().max() > 1e-3
    changed[0, 5, :, 8:, 12:] += 1.0  # in token 35
    assert (model(changed, context)[0, 2] - seen[0, 2]).abs().max() > 1e-3


def test_a_still_image_is_a_clip_of_one_moment() -> None:
    model, image = clips("rotary"), torch.randn(2, 1, 3, 12, 16)
    torch.testing.assert_close(model(image), model(image.expand(-1, 2, -1, -1, -1)))
    assert model(image).shape == (2, 12, 24)


@pytest.mark.parametrize("positions", ["sincos", "rotary", "rotary-released", "stored"])
def test_longer_and_larger_clips_work_at_call_time(positions: str) -> None:
    assert clips(positions)(torch.randn(1, 8, 3, 8, 24)).shape == (1, 4 * 2 * 6, 24)


def test_a_stored_table_is_saved_trained_and_not_decayed_away() -> None:
    model = vit("stored")
    assert "position_table" in model.state_dict() and model.position_table.requires_grad
    torch.testing.assert_close(model.position_table.detach(), vit().position_table)
    with torch.no_grad():
        model.position_table.add_(1.0)
    x = torch.randn(1, 3, 12, 16)
    fresh = vit("stored")
    fresh.load_state_dict(model.state_dict())
    torch.testing.assert_close(fresh(x), model(x))


def test_a_cosine_stem_takes_the_frames_of_a_tubelet_as_planes() -> None:
    assert clips(stem="cosine")(torch.randn(2, 6, 3, 12, 16)).shape == (2, 36, 24)


def test_mistakes_get_one_clear_sentence() -> None:
    with pytest.raises(UserError, match="patches of 5x5 do not divide images of 32x32"):
        ViT(image_size=32, patch_size=5, dim=8, depth=1, num_heads=2)
    with pytest.raises(UserError, match="patches of 4x4 do not divide images of 12x18"):
        vit()(torch.zeros(1, 3, 12, 18))
    with pytest.raises(UserError, match="takes 3 channels, got images with 1"):
        vit()(torch.zeros(1, 1, 12, 16))
    with pytest.raises(UserError, match=r"takes images \(b, c, h, w\), got a tensor of \(1, 2, 3, 12, 16\)"):
        vit()(torch.zeros(1, 2, 3, 12, 16))
    with pytest.raises(UserError, match=r"takes clips \(b, t, c, h, w\), got a tensor of \(1, 3, 12, 16\)"):
        clips()(torch.zeros(1, 3, 12, 16))
    with pytest.raises(UserError, match="tubelets of 2 frames do not divide clips of 7"):
        clips()(torch.zeros(1, 7, 3, 12, 16))
    with pytest.raises(UserError, match="tubelets of 4 frames do not divide clips of 6"):
        vit(num_frames=6, tubelet_size=4)
    with pytest.raises(UserError, match="released rotary positions are for clips"):
        vit("rotary-released")
    with pytest.raises(UserError, match="not divisible by num_heads=5"):
        vit(num_heads=5)
    with pytest.raises((UserError, TypeCheckError), match=r"sincos'?, '?rotary"):
        vit("learned")
