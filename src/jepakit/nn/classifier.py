"""Name what is seen from an encoder's tokens: pool them, then one linear map, as released probes and task models do."""

from dataclasses import dataclass
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.attention import require_heads
from jepakit.nn.block import LAYER_NORM_EPS
from jepakit.nn.pooler import AttentivePooler
from jepakit.types import require

Pooling = Literal["mean", "attentive"]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Describe a classifier of tokens.

    Args:
        dim: Width of a token.
        num_classes: Classes to tell apart.
        pooling: "mean" takes the mean token, "attentive" is `AttentivePooler` with one query.
        num_heads: Heads of the pooler's attention.
        depth: Blocks of self-attention before its query looks; 3 in V-JEPA 2's probes, 0 in V-JEPA's.
        norm_eps: What is added to the variance in the pooler's norms; 1e-5 in Meta's probes, 1e-6 in Hugging Face's.

    Raises:
        UserError: The heads do not divide the width, there are no classes, or the pooling is unknown.
    """

    dim: int
    num_classes: int
    pooling: Pooling = "attentive"
    num_heads: int = 16
    depth: int = 0
    norm_eps: float = LAYER_NORM_EPS

    def __post_init__(self) -> None:
        known = get_args(Pooling)
        require(self.pooling in known, f"pooling must be one of {', '.join(known)}, got {self.pooling!r}.")
        require(self.num_classes >= 1, f"num_classes must be at least 1, got {self.num_classes}.")
        if self.pooling == "attentive":
            require_heads(self.dim, self.num_heads)

    def build(self) -> "Classifier":
        """Build the network with fresh weights."""
        return Classifier(self)


class Classifier(nn.Module):
    """Map tokens to a score for each class.

    Source: the frozen probes of Bardes et al. 2024, V-JEPA (arXiv 2404.08471), and Assran et al. 2025, V-JEPA 2 (arXiv
    2506.09985); the mean token as in transformers' image classifiers. Deviations: none.
    """

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        attentive = config.pooling == "attentive"
        self.pooler = AttentivePooler(config.dim, config.num_heads, depth=config.depth) if attentive else None
        self.linear = nn.Linear(config.dim, config.num_classes)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = config.norm_eps

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b _"]:
        """Return the scores of all classes before any softmax."""
        return self.linear(tokens.mean(dim=1) if self.pooler is None else self.pooler(tokens)[:, 0])
