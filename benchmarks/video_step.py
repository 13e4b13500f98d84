"""Time a training step of V-JEPA at ViT-S beside the same step written the way the released code writes it.

    OMP_NUM_THREADS=2 python benchmarks/video_step.py --batch-size 4 --rounds 5

16 frames of 112 x 112 pixels, tubelets of 2 x 16 x 16: 392 tokens; encoder 384 wide, 12 blocks; predictor 384 wide, 12
blocks. `plain` has the same networks and works as the released code does: angles of rotary positions built anew for
queries and keys in every layer, every token through the patch embedding for each mask, context and targets cut to the
smallest of the batch, tokens of the predictor sorted sample by sample, losses and gradient norms read by the host, a
moving average tensor by tensor. Useful tokens are those that a context shows and those that are asked about, of both
masks; the cut throws some away, so a step of `plain` has fewer of them.

Each round times both, one after the other; the ratio is the median over rounds. Peak memory is that of a process of its
own. On a GPU nothing of this has been measured.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jepakit.methods import VJEPAConfig
from jepakit.methods.vjepa import LONG_RANGE, SHORT_RANGE
from jepakit.nn import ViTConfig
from jepakit.types import VideoBatch
from jepakit.views import Augment, ClipPreprocess, ClipViews, Preprocess

FRAMES, SIDE = 16, 112
ARMS = ("jepakit", "plain")


def build(mode: str, depth: int) -> Any:
    """Return the method, whose masks are of this mode."""
    encoder = ViTConfig(
        image_size=SIDE, patch_size=16, num_frames=FRAMES, dim=384, depth=depth, num_heads=6, positions="rotary"
    )
    config = VJEPAConfig(
        encoder=encoder,
        mask=replace(SHORT_RANGE, mode=mode),
        further_masks=(replace(LONG_RANGE, mode=mode),),
        augment=ClipViews(frame=Augment(image_size=SIDE)),
        preprocess=ClipPreprocess(num_frames=FRAMES, frame=Preprocess(image_size=SIDE)),
        predictor_dim=384,
        predictor_depth=depth,
        predictor_heads=12,
    )
    return config.build(seed=0, num_steps=1000)


def angles_of(places: Tensor, grid: tuple[int, ...], num: int) -> list[Tensor]:
    """Return the angle of each pair of channels of each token, axis by axis."""
    _, rows, columns = grid
    axes = (places // (rows * columns), places // columns % rows, places % columns)
    omega = 10000.0 ** -(torch.arange(num, dtype=torch.float32) / num)
    return [axis[..., None].float() * omega for axis in axes]


def turned(x: Tensor, places: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Return queries or keys (b, h, n, d) turned by angles that are built for them."""
    half = x.shape[-1] // 2
    angle = torch.cat(angles_of(places, grid, half // 3), dim=-1)
    angle = F.pad(angle, (0, half - angle.shape[-1]))[:, None]
    first, second = x.chunk(2, dim=-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)


def through(blocks: nn.ModuleList, x: Tensor, places: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Return tokens after blocks, in each of which angles are built anew."""
    for block in blocks:
        attn: Any = block.attn  # type: ignore[union-attr]
        heads = attn.num_heads
        qkv = attn.qkv(block.norm1(x)).unflatten(-1, (3, heads, -1))  # type: ignore[operator]
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(turned(query, places, grid), turned(key, places, grid), value)
        x = x + attn.proj(mixed.transpose(1, 2).flatten(2))
        x = x + block.mlp(block.norm2(x))  # type: ignore[operator]
    return x


def encoded(encoder: Any, x: Tensor, idx: Tensor | None) -> Tensor:
    """Return tokens: every patch is embedded, then those at `idx` are kept."""
    weight = encoder.patch_embed.weight.view(-1, 3, 2, 16, 16)
    tokens = F.conv3d(x.transpose(1, 2), weight, encoder.patch_embed.bias, stride=(2, 16, 16)).flatten(2).mT
    places = torch.arange(tokens.shape[1]).expand(len(x), -1)
    if idx is not None:
        tokens, places = tokens.gather(1, idx[..., None].expand(-1, -1, tokens.shape[-1])), idx
    return encoder.norm(through(encoder.blocks, tokens, places, encoder.grid))


def predicted(predictor: Any, s_x: Tensor, hidden: Any, grid: tuple[int, ...]) -> Tensor:
    """Return predictions at the places asked about, of tokens that are sorted one sample after the other."""
    context, target = hidden.context_idx, hidden.target_idx[:, 0]
    mask = predictor.mask_token[hidden.kind].expand(len(s_x), target.shape[1], -1)
    tokens, places = torch.cat((predictor.embed(s_x), mask), dim=1), torch.cat((context, target), dim=1)
    order = torch.stack([row.argsort() for row in places])
    tokens = torch.stack([row[by] for row, by in zip(tokens, order, strict=True)])
    places = torch.stack([row[by] for row, by in zip(places, order, strict=True)])
    tokens = predictor.norm(through(predictor.blocks, tokens, places, grid))
    back = torch.stack([row.argsort() for row in order])
    tokens = torch.stack([row[by] for row, by in zip(tokens, back, strict=True)])
    return predictor.proj(tokens[:, context.shape[1] :])


def plain_step(method: Any, optimizer: torch.optim.Optimizer, batch: VideoBatch, step: int) -> int:
    """Do one step in the released code's way; return its useful tokens."""
    x = method.prepare(batch, step)
    hides = method.hides(batch.id, step)
    with torch.no_grad():
        target = F.layer_norm(encoded(method.target.encoder, x, None), (384,))
    losses, useful = [], 0
    for hidden in hides:
        z_hat = predicted(method.predictor, encoded(method.encoder, x, hidden.context_idx), hidden, method.encoder.grid)
        z = target.gather(1, hidden.target_idx[:, 0, :, None].expand(-1, -1, 384))
        losses.append((z_hat - z).abs().mean())
        useful += hidden.context_idx.numel() + hidden.target_idx.numel()
    loss = torch.stack(losses).mean()
    float(loss.detach())
    loss.backward()
    for parameter in method.parameters():
        if parameter.grad is not None:
            float(parameter.grad.norm())
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        for ours, theirs in zip(method.target.encoder.parameters(), method.encoder.parameters(), strict=True):
            ours.mul_(0.998).add_(theirs, alpha=0.002)
    return useful


def our_step(method: Any, optimizer: torch.optim.Optimizer, batch: VideoBatch, step: int) -> int:
    """Do one step of jepakit's; return its useful tokens."""
    method(batch, step).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    method.after_step(step)
    return 2 * len(batch) * method.encoder.num_tokens  # what a mask does not hide it shows


def prepared(arm: str, depth: int) -> tuple[Any, torch.optim.Optimizer, Any]:
    """Return the method of an arm, its optimizer and its step."""
    method = build("default" if arm == "jepakit" else "paper", depth)
    optimizer = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=1e-4)
    return method, optimizer, our_step if arm == "jepakit" else plain_step


def clips(num: int, step: int) -> VideoBatch:
    """Return random clips."""
    generator = torch.Generator().manual_seed(step)
    video = torch.randint(0, 256, (num, FRAMES, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    return VideoBatch(video, step * num + torch.arange(num))


def timed(arm: tuple[Any, Any, Any], batch: VideoBatch, step: int) -> tuple[float, int]:
    """Return seconds and useful tokens of one step."""
    method, optimizer, do = arm
    start = time.perf_counter()
    useful = do(method, optimizer, batch, step)
    return time.perf_counter() - start, useful


def peak(arm: str, told: argparse.Namespace) -> float:
    """Return the most memory in GiB of a process that does two steps."""
    sizes = ["--batch-size", str(told.batch_size), "--depth", str(told.depth)]
    answer = subprocess.run(
        [sys.executable, __file__, "--alone", arm, *sizes], check=True, capture_output=True, text=True
    )
    return float(answer.stdout) / 2**20


def main() -> None:
    """Time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--depth", type=int, default=12, help="blocks of encoder and predictor")
    parser.add_argument("--alone", choices=ARMS, help="do two steps of one arm and print its peak memory in KiB")
    told = parser.parse_args()
    if told.alone:
        arm = prepared(told.alone, told.depth)
        for step in range(2):
            timed(arm, clips(told.batch_size, step), step)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    arms = {name: prepared(name, told.depth) for name in ARMS}
    rates: dict[str, list[float]] = {name: [] for name in ARMS}
    seconds: dict[str, list[float]] = {name: [] for name in ARMS}
    for step in range(told.rounds + 1):
        batch = clips(told.batch_size, step)
        for name, arm in arms.items():
            passed, useful = timed(arm, batch, step)
            if step:  # the first warms up
                rates[name].append(useful / passed)
                seconds[name].append(passed)
    ratios = [ours / theirs for ours, theirs in zip(rates["jepakit"], rates["plain"], strict=True)]
    record = {
        "threads": torch.get_num_threads(),
        "arguments": {"batch_size": told.batch_size, "rounds": told.rounds, "depth": told.depth},
        "useful_tokens_per_s": {name: round(statistics.median(values)) for name, values in rates.items()},
        "s_per_step": {name: round(statistics.median(values), 3) for name, values in seconds.items()},
        "ratio": {"median": round(statistics.median(ratios), 3), "low": min(ratios), "high": max(ratios)},
        "peak_gib": {name: round(peak(name, told), 2) for name in ARMS},
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
