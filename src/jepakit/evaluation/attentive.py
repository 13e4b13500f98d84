"""Train an attentive probe: learned queries look at frozen tokens, a linear layer reads what they bring."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.evaluation.linear import require_labelled
from jepakit.nn.pooler import AttentivePooler
from jepakit.nn.schedules import WarmupCosine
from jepakit.random import Stream, seeded_init
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class AttentiveConfig:
    """Fix how an attentive probe is built and trained; the same for every arm.

    Args:
        num_heads: Heads of the pooler; must divide the width of a token.
        depth: Self-attention blocks before the pooler: 0 as in V-JEPA, 3 as in V-JEPA 2.
        num_epochs: Passes over the train tokens.
        batch_size: Items per optimizer step.
        learning_rate: Peak, after a tenth of all steps; then a cosine to 0.
        weight_decay: AdamW's, on matrices alone.

    Raises:
        UserError: If a count or rate is not positive.
    """

    num_heads: int = 4
    depth: int = 0
    num_epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.05

    def __post_init__(self) -> None:
        for name in ("num_heads", "num_epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise UserError(f"{name} of an attentive probe must be positive, got {getattr(self, name)}.")


class AttentiveProbe(nn.Module):
    """Classify an item by its tokens: standardise, pool with one learned query, read linearly.

    Args:
        mean: Mean token of the train set.
        scale: Standard deviation of each dimension over all train tokens.
        num_classes: Number of classes.
        config: See `AttentiveConfig`.

    Source: Bardes et al. 2024, V-JEPA (arXiv 2404.08471), appendix. Deviations: tokens are standardised by train
    statistics first, so that one learning rate suits encoders of any scale.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, mean: Float[Tensor, " d"], scale: Float[Tensor, " d"], num_classes: int, config: AttentiveConfig
    ):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.pooler = AttentivePooler(mean.shape[0], config.num_heads, depth=config.depth)
        self.head = nn.Linear(mean.shape[0], num_classes)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b c"]:
        """Return one logit per class."""
        logits: Tensor = self.head(self.pooler((tokens - self.mean) / self.scale)[:, 0])
        return logits

    @torch.no_grad()
    def predict(self, tokens: Float[Tensor, "b n d"], batch_size: int = 512) -> Int[Tensor, " b"]:
        """Return the class of the largest logit of each item."""
        return torch.cat([self(block.float()).argmax(dim=1) for block in tokens.split(batch_size)])


def fit_attentive(
    tokens: Float[Tensor, "b n d"],
    labels: Int[Tensor, " labels"],
    num_classes: int,
    config: AttentiveConfig = AttentiveConfig(),
    seed: int = 0,
) -> AttentiveProbe:
    """Train an attentive probe by AdamW on train tokens; equal seeds give equal weights.

    Args:
        tokens: Frozen tokens of the train items, after the final norm.
        labels: Train labels.
        num_classes: Number of classes.
        config: Fixed settings; nothing is tuned.
        seed: Selects initial weights and the order of the items.

    Raises:
        UserError: If tokens and labels do not fit together, or the heads do not divide the width.
    """
    require_labelled(tokens, labels, num_classes)
    std, mean = torch.std_mean(tokens.float(), dim=(0, 1), correction=0)
    with seeded_init(seed, "probe/attentive"):
        probe = AttentiveProbe(mean, std.clamp_min(1e-6 * float(std.max()) + 1e-30), num_classes, config)
    probe.to(tokens.device)
    optimizer = torch.optim.AdamW(_decay_groups(probe, config.weight_decay), lr=config.learning_rate)
    num_steps = config.num_epochs * -(-len(labels) // config.batch_size)
    schedule = WarmupCosine(peak=config.learning_rate, num_steps=num_steps, num_warmup_steps=num_steps // 10)
    order = Stream(seed, "probe/attentive/order")
    step = 0
    with torch.enable_grad():
        for epoch in range(config.num_epochs):
            for idx in order.permutation(epoch, len(labels)).to(tokens.device).split(config.batch_size):
                for group in optimizer.param_groups:
                    group["lr"] = schedule(step)
                loss = F.cross_entropy(probe(tokens[idx].float()), labels[idx])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
    return probe.requires_grad_(False)


def _decay_groups(probe: AttentiveProbe, weight_decay: float) -> list[dict[str, object]]:
    named = list(probe.named_parameters())
    decayed = [p for name, p in named if p.ndim > 1 and not name.endswith("_token")]
    rest = [p for name, p in named if p.ndim <= 1 or name.endswith("_token")]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
