import pytest
import torch
from transformers import VJEPA2Config
from transformers.models.vjepa2.modeling_vjepa2 import VJEPA2AttentivePooler

from jepakit.nn.pooler import AttentivePooler


@pytest.mark.parametrize("depth", [0, 3])
def test_pooled_tokens_equal_hugging_faces_v_jepa_2_pooler(depth: int) -> None:
    """Weights are renamed as in image-video-jepa.md §4.4."""
    torch.manual_seed(0)
    theirs = VJEPA2AttentivePooler(VJEPA2Config(hidden_size=24, num_attention_heads=3, num_pooler_layers=depth))
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    state, renamed = theirs.state_dict(), {"query_token": theirs.query_tokens}
    for kind in ("weight", "bias"):
        for prefix, old in [(f"blocks.{j}.", f"self_attention_layers.{j}.") for j in range(depth)] + [
            ("", "cross_attention_layer.")
        ]:
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                renamed[f"{prefix}{name}.{kind}"] = state[f"{old}{name.replace('norm', 'layer_norm')}.{kind}"]
        for j in range(depth):
            old = f"self_attention_layers.{j}.self_attn"
            renamed[f"blocks.{j}.attn.qkv.{kind}"] = torch.cat([state[f"{old}.{x}_proj.{kind}"] for x in "qkv"])
            renamed[f"blocks.{j}.attn.proj.{kind}"] = state[f"{old}.out_proj.{kind}"]
        old = "cross_attention_layer.cross_attn"
        renamed[f"xattn.q.{kind}"] = state[f"{old}.q_proj.{kind}"]
        renamed[f"xattn.kv.{kind}"] = torch.cat([state[f"{old}.{x}_proj.{kind}"] for x in "kv"])
    ours = AttentivePooler(dim=24, num_heads=3, depth=depth, mlp_dim=96)
    ours.load_state_dict(renamed)
    x = torch.randn(2, 7, 24)
    torch.testing.assert_close(ours(x)[:, 0], theirs(x), atol=1e-5, rtol=1e-5)


def test_one_embedding_per_query_whatever_the_order_of_tokens() -> None:
    pooler = AttentivePooler(dim=16, num_heads=2, num_queries=3, depth=1)
    x = torch.randn(2, 9, 16)
    pooled = pooler(x)
    assert pooled.shape == (2, 3, 16)
    torch.testing.assert_close(pooler(x[:, torch.randperm(9)]), pooled, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(pooled[:, 0], pooled[:, 1])


def test_every_weight_gets_a_gradient() -> None:
    pooler = AttentivePooler(dim=16, num_heads=2, num_queries=2, depth=1)
    pooler(torch.randn(2, 9, 16)).pow(3).sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in pooler.parameters())
