"""World models of others are the function that their own code computes; a weight too many, too few or misshapen is named."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from jepakit.hub.dino_wm import import_dino_wm
from jepakit.hub.ebjepa import import_ebjepa
from jepakit.hub.foreign import read_foreign
from jepakit.hub.lewm import import_lewm
from jepakit.nn import ViTConfig
from jepakit.types import ClipBatch, UserError
from jepakit.views import Preprocess

BOUNDS: dict[str, Any] = {"action_low": (-1.0, -1.0), "action_high": (1.0, 1.0), "frame_skip": 3}
DIM, HEADS = 8, 2


def norms(name: str, dim: int) -> dict[str, Tensor]:
    return {f"{name}.weight": 1 + 0.1 * torch.randn(dim), f"{name}.bias": 0.1 * torch.randn(dim)}


def linear(name: str, into: int, out: int, size: float = 0.3) -> dict[str, Tensor]:
    return {f"{name}.weight": size * torch.randn(out, into), f"{name}.bias": 0.1 * torch.randn(out)}


def head(name: str, into: int, hidden: int, out: int) -> dict[str, Tensor]:
    seen = {
        f"{name}.1.running_mean": torch.randn(hidden),
        f"{name}.1.running_var": 1 + torch.rand(hidden),
        f"{name}.1.num_batches_tracked": torch.tensor(3),
    }
    return linear(f"{name}.0", into, hidden) | norms(f"{name}.1", hidden) | seen | linear(f"{name}.3", hidden, out)


def lewm_weights(depth: int = 2) -> dict[str, Tensor]:
    """Return weights under the names of LeWM's public code, small."""
    held = {
        "encoder.embeddings.cls_token": torch.randn(1, 1, DIM),
        "encoder.embeddings.position_embeddings": torch.randn(1, 5, DIM),
        "encoder.embeddings.patch_embeddings.projection.weight": 0.1 * torch.randn(DIM, 3, 4, 4),
        "encoder.embeddings.patch_embeddings.projection.bias": torch.randn(DIM),
        "predictor.pos_embedding": torch.randn(1, 3, 6),
        "action_encoder.patch_embed.weight": torch.randn(5, 6, 1),
        "action_encoder.patch_embed.bias": torch.randn(5),
    }
    for layer in range(depth):
        name = f"encoder.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            held |= linear(f"{name}.attention.attention.{part}", DIM, DIM)
        held |= linear(f"{name}.attention.output.dense", DIM, DIM)
        held |= linear(f"{name}.intermediate.dense", DIM, 12) | linear(f"{name}.output.dense", 12, DIM)
        held |= norms(f"{name}.layernorm_before", DIM) | norms(f"{name}.layernorm_after", DIM)
        name = f"predictor.transformer.layers.{layer}"
        held |= linear(f"{name}.adaLN_modulation.1", 6, 36) | norms(f"{name}.attn.norm", 6)
        held |= {f"{name}.attn.to_qkv.weight": 0.3 * torch.randn(3 * 128, 6)} | linear(f"{name}.attn.to_out.0", 128, 6)
        held |= norms(f"{name}.mlp.net.0", 6) | linear(f"{name}.mlp.net.1", 6, 16) | linear(f"{name}.mlp.net.4", 16, 6)
    held |= norms("encoder.layernorm", DIM) | norms("predictor.transformer.norm", 6)
    held |= linear("action_encoder.embed.0", 5, 24) | linear("action_encoder.embed.2", 24, 6)
    return held | head("projector.net", DIM, 10, 6) | head("pred_proj.net", 6, 14, 6)


def said(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def normed(w: dict[str, Tensor], name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"], eps)


def headed(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    hidden = said(w, f"{name}.0", x)
    flat = hidden.flatten(0, -2)
    seen = (w[f"{name}.1.running_mean"], w[f"{name}.1.running_var"], w[f"{name}.1.weight"], w[f"{name}.1.bias"])
    return said(w, f"{name}.3", F.gelu(F.batch_norm(flat, *seen)).view_as(hidden))


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, hidden: Tensor | None = None) -> Tensor:
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    score = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    score = score if hidden is None else score.masked_fill(hidden, -torch.inf)
    return (score.softmax(-1) @ v).transpose(1, 2).flatten(2)


def lewm_embedding(w: dict[str, Tensor], x: Tensor, depth: int = 2) -> Tensor:
    name = "encoder.embeddings.patch_embeddings.projection"
    patches = F.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], stride=4).flatten(2).transpose(1, 2)
    tokens = torch.cat((w["encoder.embeddings.cls_token"].expand(len(x), -1, -1), patches), dim=1)
    tokens = tokens + w["encoder.embeddings.position_embeddings"]
    for layer in range(depth):
        name = f"encoder.encoder.layer.{layer}"
        entering = normed(w, f"{name}.layernorm_before", tokens, 1e-12)
        q, k, v = (said(w, f"{name}.attention.attention.{part}", entering) for part in ("query", "key", "value"))
        tokens = tokens + said(w, f"{name}.attention.output.dense", attended(q, k, v, HEADS))
        inside = F.gelu(said(w, f"{name}.intermediate.dense", normed(w, f"{name}.layernorm_after", tokens, 1e-12)))
        tokens = tokens + said(w, f"{name}.output.dense", inside)
    return headed(w, "projector.net", normed(w, "encoder.layernorm", tokens, 1e-12)[:, 0])


def lewm_prediction(w: dict[str, Tensor], z: Tensor, blocks: Tensor, depth: int = 2) -> Tensor:
    """Return what follows each of at most 3 frames."""
    smooth = F.conv1d(
        blocks.transpose(1, 2), w["action_encoder.patch_embed.weight"], w["action_encoder.patch_embed.bias"]
    )
    told = said(w, "action_encoder.embed.2", F.silu(said(w, "action_encoder.embed.0", smooth.transpose(1, 2))))
    length = z.shape[1]
    x, hidden = z + w["predictor.pos_embedding"][:, :length], torch.ones(length, length).triu(1).bool()
    for layer in range(depth):
        name = f"predictor.transformer.layers.{layer}"
        shift, scale, gate, shift2, scale2, gate2 = said(w, f"{name}.adaLN_modulation.1", F.silu(told)).chunk(6, -1)
        entering = normed(w, f"{name}.attn.norm", F.layer_norm(x, (6,), eps=1e-6) * (1 + scale) + shift)
        q, k, v = said(w, f"{name}.attn.to_qkv", entering).chunk(3, -1)
        x = x + gate * said(w, f"{name}.attn.to_out.0", attended(q, k, v, 2, hidden))
        entering = normed(w, f"{name}.mlp.net.0", F.layer_norm(x, (6,), eps=1e-6) * (1 + scale2) + shift2)
        x = x + gate2 * said(w, f"{name}.mlp.net.4", F.gelu(said(w, f"{name}.mlp.net.1", entering)))
    return headed(w, "pred_proj.net", normed(w, "predictor.transformer.norm", x))


def lewm(path: Path, held: Any) -> Any:
    torch.save(held, path)
    return import_lewm(path, encoder_heads=HEADS, **BOUNDS)


def test_lewm_is_the_function_of_its_own_code(tmp_path: Path) -> None:
    w = lewm_weights()
    model = lewm(tmp_path / "lewm.pt", w)
    assert (model.config.preprocess.image_size, model.config.dim, model.config.dynamics.window) == (8, 6, 3)
    x = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(model.encode(x), lewm_embedding(w, x), rtol=1e-4, atol=1e-5)
    z, plan = torch.randn(2, 4, 6), torch.randn(2, 9, 2)
    blocks = plan.reshape(2, 3, 6)
    torch.testing.assert_close(
        model.predictor.ahead(z, blocks, 1)[0], lewm_prediction(w, z[:, :3], blocks), rtol=1e-4, atol=1e-5
    )


def test_lewm_s_rollout_recomputes_its_window(tmp_path: Path) -> None:
    w = lewm_weights()
    model = lewm(tmp_path / "lewm.pt", {"state_dict": {f"model.{name}": weight for name, weight in w.items()}})
    frames = torch.randint(0, 256, (2, 2, 3, 8, 8), dtype=torch.uint8)
    done, plan = torch.randn(2, 3, 2), torch.randn(2, 4, 15, 2)
    state = model.observe(ClipBatch(frames, done, torch.arange(2)))
    rolled = model.rollout(state.expand(4), plan)
    assert rolled.shape == (2, 4, 5, 1, 6)
    z = lewm_embedding(w, model.preprocess(frames.flatten(0, 1))).unflatten(0, (2, 2))
    for candidate in range(4):
        seen, told = z, done.reshape(2, 1, 6)
        for step in range(5):
            told = torch.cat((told, plan[:, candidate, 3 * step : 3 * step + 3].reshape(2, 1, 6)), dim=1)
            ahead = lewm_prediction(w, seen[:, -3:], told[:, -3:])[:, -1:]
            seen = torch.cat((seen, ahead), dim=1)
            torch.testing.assert_close(rolled[:, candidate, step, 0], ahead[:, 0], rtol=1e-3, atol=1e-4)


def ebjepa_weights() -> dict[str, Tensor]:
    held = linear("encoder.mlp", 4 * 9, 6) | norms("encoder.final_ln", 6)
    held |= {f"predictor.final_ln.{part}": held[f"encoder.final_ln.{part}"] for part in ("weight", "bias")}
    for stack, (before, after) in enumerate(((2, 3), (3, 4))):
        name = f"encoder.stack_blocks.{stack}"
        convolutions = {
            f"{name}.initial_conv": before,
            f"{name}.blocks.0.conv1": after,
            f"{name}.blocks.0.conv2": after,
        }
        for each, into in convolutions.items():
            held |= {f"{each}.weight": 0.3 * torch.randn(after, into, 3, 3), f"{each}.bias": torch.randn(after)}
    held |= {f"predictor.rnn.weight_{way}_l0": torch.randn(18, size) for way, size in (("ih", 2), ("hh", 6))}
    held |= {f"predictor.rnn.bias_{way}_l0": torch.randn(18) for way in ("ih", "hh")}
    return held | linear("regularizer.idm.model.0", 12, 4)


def test_ebjepa_is_the_function_of_its_own_code(tmp_path: Path) -> None:
    w = ebjepa_weights()
    torch.save({"model_state_dict": w, "epoch": 3}, tmp_path / "latest.pth.tar")
    model = import_ebjepa(tmp_path / "latest.pth.tar", image_size=9)
    x = torch.randn(5, 2, 9, 9)
    maps = x
    for stack in range(2):
        name = f"encoder.stack_blocks.{stack}"

        def conv(part: str, maps: Tensor, name: str = name) -> Tensor:
            return F.conv2d(maps, w[f"{name}.{part}.weight"], w[f"{name}.{part}.bias"], padding=1)

        maps = F.max_pool2d(conv("initial_conv", maps), 3, 2, 1)
        maps = F.relu(conv("blocks.0.conv2", F.relu(conv("blocks.0.conv1", maps))) + maps)
    z = normed(w, "encoder.final_ln", said(w, "encoder.mlp", F.relu(maps).flatten(1)))
    torch.testing.assert_close(model.encode(x), z, rtol=1e-4, atol=1e-5)
    gru = torch.nn.GRU(2, 6)
    gru.load_state_dict({name.removeprefix("predictor.rnn."): t for name, t in w.items() if ".rnn." in name})
    plan, state = torch.randn(5, 1, 4, 2), z
    rolled = model.rollout(model.predictor.begin(z[:, None], plan[:, 0, :0]).expand(1), plan)
    for step in range(4):
        state = normed(w, "encoder.final_ln", gru(plan[:, 0, step][None], state[None].contiguous())[1][0])
        torch.testing.assert_close(rolled[:, 0, step, 0], state, rtol=1e-4, atol=1e-5)


VIT = ViTConfig(image_size=8, patch_size=4, dim=6, depth=1, num_heads=1, positions="rotary")


def dino_weights(width: int = 6 + 3 + 2) -> dict[str, Any]:
    held = {"pos_embedding": torch.randn(1, 3 * 4, width)} | norms("transformer.norm", width)
    for layer in range(2):
        name = f"transformer.layers.{layer}"
        held |= norms(f"{name}.0.norm", width) | {f"{name}.0.to_qkv.weight": 0.3 * torch.randn(48, width)}
        held |= linear(f"{name}.0.to_out.0", 16, width) | norms(f"{name}.1.net.0", width)
        held |= linear(f"{name}.1.net.1", width, 20) | linear(f"{name}.1.net.4", 20, width)
    return {
        "predictor": {f"module.{name}": weight for name, weight in held.items()},
        "action_encoder": {"patch_embed.weight": torch.randn(2, 6, 1), "patch_embed.bias": torch.randn(2)},
        "proprio_encoder": {"patch_embed.weight": torch.randn(3, 4, 1), "patch_embed.bias": torch.randn(3)},
        "epoch": 7,
    }


def dino(path: Path, held: Any) -> Any:
    torch.save(held, path)
    torch.manual_seed(1)
    preprocess = Preprocess(image_size=8)
    return import_dino_wm(path, VIT.build(), encoder_config=VIT, preprocess=preprocess, head_dim=8, **BOUNDS)


def test_dino_wm_is_the_function_of_its_own_code(tmp_path: Path) -> None:
    held = dino_weights()
    model = dino(tmp_path / "dino.pth.tar", held)
    assert (model.config.dynamics.window, model.config.proprio_dim) == (3, 4)
    frames, felt = torch.randint(0, 256, (2, 4, 3, 8, 8), dtype=torch.uint8), torch.randn(2, 4, 4)
    done = torch.randn(2, 9, 2)
    z = model.embed(frames, felt)
    w = {name.removeprefix("module."): weight for name, weight in held["predictor"].items()}
    proprio = said({"p.weight": held["proprio_encoder"]["patch_embed.weight"][..., 0]}, "p", felt)
    proprio = proprio + held["proprio_encoder"]["patch_embed.bias"]
    tokens = model.encoder(model.preprocess(frames.flatten(0, 1))).unflatten(0, (2, 4))
    torch.testing.assert_close(z, torch.cat((tokens, proprio[:, :, None].expand(-1, -1, 4, -1)), dim=-1))
    act = F.linear(done.reshape(2, 3, 6), held["action_encoder"]["patch_embed.weight"][..., 0])
    act = (act + held["action_encoder"]["patch_embed.bias"])[:, :, None].expand(-1, -1, 4, -1)
    x = torch.cat((z[:, :3], act), dim=-1).flatten(1, 2) + w["pos_embedding"]
    frame = torch.arange(3).repeat_interleave(4)
    for layer in range(2):
        name = f"transformer.layers.{layer}"
        q, k, v = said(w, f"{name}.0.to_qkv", normed(w, f"{name}.0.norm", x)).chunk(3, -1)
        x = x + said(w, f"{name}.0.to_out.0", attended(q, k, v, 2, frame[:, None] < frame))
        x = x + said(w, f"{name}.1.net.4", F.gelu(said(w, f"{name}.1.net.1", normed(w, f"{name}.1.net.0", x))))
    expected = normed(w, "transformer.norm", x).unflatten(1, (3, 4))[..., :9]
    found = model.predictor.ahead(z, model.told(done), 1)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_an_imported_model_is_saved_and_loaded_as_ours(tmp_path: Path) -> None:
    model = lewm(tmp_path / "lewm.pt", lewm_weights())
    model.save_pretrained(tmp_path / "ours")
    again = type(model).from_pretrained(tmp_path / "ours")
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(model.encode(x), again.encode(x))


MISTAKES: list[tuple[str, Any, str]] = [
    ("missing", lambda w: w.pop("predictor.transformer.layers.1.attn.norm.weight"), "no 'predictor.transformer.layers.1.attn.norm.weight'"),
    ("missing size", lambda w: w.pop("projector.net.3.weight"), "no 'projector.net.3.weight'"),
    ("extra", lambda w: w.update({"predictor.transformer.input_proj.weight": torch.ones(2)}), "another architecture: predictor.transformer.input_proj.weight"),
    ("another layer", lambda w: w.update(linear("encoder.encoder.layer.1.surprise", 2, 2)), r"another architecture: encoder.encoder.layer.1.surprise"),
    ("misshapen", lambda w: w.update({"encoder.layernorm.bias": torch.ones(9)}), r"'encoder.layernorm.bias' has shape \(9,\), where \(8,\)"),
    ("axes", lambda w: w.update({"predictor.pos_embedding": torch.ones(3, 6)}), r"'predictor.pos_embedding' has shape \(3, 6\), not 3 axes"),
    ("no tensor", lambda w: w.update({"epoch": 3}), "'epoch' holds a int, not a tensor"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "sentence"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_a_weight_that_does_not_fit_is_named(change: Any, sentence: str, tmp_path: Path) -> None:
    w: dict[str, Any] = lewm_weights()
    change(w)
    with pytest.raises(UserError, match=sentence):
        lewm(tmp_path / "lewm.pt", w)


def test_other_mistakes_are_one_sentence_too(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save(lewm_weights(), path)
    with pytest.raises(UserError, match="blocks of 6 numbers, but 2 numbers an action and frame_skip=5 make 10"):
        import_lewm(path, encoder_heads=HEADS, action_low=(-1.0,) * 2, action_high=(1.0,) * 2)
    w = ebjepa_weights()
    torch.save(w | {"predictor.final_ln.bias": torch.ones(6)}, path)
    with pytest.raises(UserError, match=r"'predictor.final_ln.bias' differs from the encoder's"):
        import_ebjepa(path, image_size=9)
    torch.save({"weights": torch.ones(2)}, path)
    with pytest.raises(UserError, match=r"no 'encoder.stack_blocks.0.initial_conv.weight'"):
        import_ebjepa(path)
    with pytest.raises(UserError, match="has none of the parts predictor, action_encoder"):
        dino(path, {"epoch": 1})
    held = dino_weights()
    held["predictor"]["module.pos_embedding"] = torch.ones(1, 10, 11)
    with pytest.raises(UserError, match="10 places, no multiple of the 4 tokens"):
        dino(path, held)
    held = dino_weights()
    held["action_encoder"]["patch_embed.weight"] = torch.ones(2, 6, 2)
    with pytest.raises(UserError, match="covers 2 steps, not 1"):
        dino(path, held)


class Trap:
    """Would run something when unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("executed",))


def test_foreign_files_are_read_and_never_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.pt"
    torch.save({"model": Trap()}, path)
    with pytest.raises(UserError, match="would have to be executed"):
        read_foreign(path)
    torch.save({"predictor": torch.nn.Linear(2, 2)}, path)  # a pickled module, as DINO-WM's files hold
    with pytest.raises(UserError, match=r"Save the modules' state_dict\(\)"):
        read_foreign(path)
    assert "executed\n" not in capsys.readouterr().out
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="is damaged or was cut short; copy it again"):
        read_foreign(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="holds a list, not weights by name"):
        read_foreign(path)
    with pytest.raises(UserError, match="more than the 10 that are read"):
        read_foreign(path, largest=10)
    with pytest.raises(UserError, match="is no file"):
        read_foreign(tmp_path / "nowhere.pt")
    save_file({"a": torch.ones(2)}, tmp_path / "file.safetensors")
    assert torch.equal(read_foreign(tmp_path / "file.safetensors")["a"], torch.ones(2))
