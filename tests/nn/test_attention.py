import pytest
import torch
import torch.nn.functional as F

from jepakit.nn.attention import CrossAttention, SelfAttention
from jepakit.nn.block import Block, init_transformer
from jepakit.nn.position import rotary_table, select_rotation
from jepakit.types import UserError


@pytest.mark.parametrize("bias", [True, False])
def test_self_attention_equals_torchs_multi_head_attention(bias: bool) -> None:
    ours = SelfAttention(12, num_heads=3, qkv_bias=bias)
    theirs = torch.nn.MultiheadAttention(12, num_heads=3, bias=True, batch_first=True)
    theirs.in_proj_weight.data.copy_(ours.qkv.weight)
    theirs.in_proj_bias.data.copy_(ours.qkv.bias if bias else torch.zeros(36))
    theirs.out_proj.load_state_dict(ours.proj.state_dict())
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], atol=1e-6, rtol=1e-5)


def test_cross_attention_equals_torchs_without_the_output_projection() -> None:
    ours = CrossAttention(12, num_heads=3)
    theirs = torch.nn.MultiheadAttention(12, num_heads=3, batch_first=True)
    theirs.in_proj_weight.data.copy_(torch.cat((ours.q.weight, ours.kv.weight)))
    theirs.in_proj_bias.data.copy_(torch.cat((ours.q.bias, ours.kv.bias)))
    theirs.out_proj.weight.data.copy_(torch.eye(12))
    queries, x = torch.randn(2, 3, 12), torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(queries, x), theirs(queries, x, x)[0], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("rotary", [False, True])
def test_a_prefix_is_looked_at_as_if_it_stood_in_the_sequence(rotary: bool) -> None:
    block = Block(16, num_heads=2, mlp_dim=32)
    both = torch.randn(2, 9, 16)
    rotation = select_rotation(rotary_table((3, 3), 8)) if rotary else None
    first = None if rotation is None else rotation[..., :4, :]
    last = None if rotation is None else rotation[..., 4:, :]
    torch.testing.assert_close(block(both[:, 4:], last, both[:, :4], first), block(both, rotation)[:, 4:])


def test_one_prefix_serves_its_neighbours() -> None:
    block = Block(8, num_heads=2, mlp_dim=16)
    x, prefix = torch.randn(6, 3, 8), torch.randn(2, 4, 8)
    torch.testing.assert_close(block(x, prefix=prefix), block(x, prefix=prefix.repeat_interleave(3, dim=0)))


def test_attention_is_indifferent_to_the_order_of_tokens() -> None:
    block = Block(8, num_heads=2, mlp_dim=16)
    x, order = torch.randn(1, 7, 8), torch.randperm(7)
    torch.testing.assert_close(block(x)[:, order], block(x[:, order]))


def test_the_block_is_pre_norm_with_an_exact_gelu() -> None:
    block = Block(8, num_heads=2, mlp_dim=16)
    x = 1e-3 * torch.randn(1, 7, 8)  # so small that the eps of LayerNorm counts
    middle = x + block.attn(F.layer_norm(x, (8,), eps=1e-6))
    inner = F.gelu(block.mlp.fc1(F.layer_norm(middle, (8,), eps=1e-6)), approximate="none")
    torch.testing.assert_close(block(x), middle + block.mlp.fc2(inner))


def test_first_weights_have_their_spread_and_residual_outputs_shrink_with_depth() -> None:
    blocks = torch.nn.ModuleList(Block(128, num_heads=2, mlp_dim=512) for _ in range(4))
    init_transformer(blocks.requires_grad_(False), blocks)
    for number, block in enumerate(blocks, start=1):
        assert float(block.attn.qkv.weight.std()) == pytest.approx(0.02, rel=0.03)
        assert float(block.mlp.fc1.weight.std()) == pytest.approx(0.02, rel=0.03)
        for layer in (block.attn.proj, block.mlp.fc2):
            assert float(layer.weight.std()) == pytest.approx(0.02 / (2 * number) ** 0.5, rel=0.03)
            assert not layer.bias.any()


def test_heads_that_do_not_share_the_width_are_refused() -> None:
    with pytest.raises(UserError, match="dim=10 is not divisible by num_heads=3"):
        SelfAttention(10, num_heads=3)
