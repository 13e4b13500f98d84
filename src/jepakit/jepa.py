"""Hold the contract that every JEPA shares: an objective over `Prediction`, and the two default call graphs.

    context, target, query = hide(x)             what is seen, what is asked about, how it is asked
    s_x   = encoder(x, context)
    s_y   = select(target(x), target)            same weights | moving average | frozen
    z_hat = predictor(s_x, query)
    energy = distance(z_hat, s_y)                one number per question: low means compatible
    loss  = weighted mean of energy + sum of weight * regularizer(space) + sum of auxiliary terms

`HideThenEncode` hides part of the input before the encoder sees it (I-JEPA); `EncodeThenIndex` encodes every view
once and asks between the embeddings (LeJEPA, VICReg). A third graph, where the encoder is itself the predictor, simply
overrides `predict`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.collectives import weighted_mean
from jepakit.nn.target import Target
from jepakit.storage import config_from_dict, config_to_dict, load_weights, read_model, save_model
from jepakit.types import Batch, Content, Hidden, Prediction, Samples, StepOutput, UserError
from jepakit.views import AnyPreprocess, View

Distance = Callable[[Float[Tensor, "r d"], Float[Tensor, "r d"]], Float[Tensor, " r"]]
Regularizer = Callable[[Float[Tensor, "b g d"], int], Float[Tensor, ""]]


@dataclass(frozen=True)
class Term:
    """Name a regularizer, the space that it reads and its weight in the loss."""

    space: str
    regularizer: Regularizer
    weight: float


@dataclass(frozen=True)
class Objective:
    """Turn a `Prediction` into a loss: mean energy, regularizers over spaces, auxiliary terms; all in float32.

    Args:
        distance: Energy of each row.
        terms: Regularizers by the name under which they are logged.
        prediction_weight: Weight of the mean energy.
        aux_weights: Weights of a prediction's auxiliary terms; one not named here weighs 1.
    """

    distance: Distance
    terms: Mapping[str, Term] = field(default_factory=dict)
    prediction_weight: float = 1.0
    aux_weights: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, prediction: Prediction, step: int, num_samples: int) -> StepOutput:
        """Return the loss (a global value over all processes), its detached terms and the energy of each sample."""
        with torch.autocast(prediction.z.device.type, enabled=False):
            row_energy = self.energy(prediction)
            values = {"prediction": (self.prediction_weight, weighted_mean(row_energy, prediction.weight))}
            for name, term in self.terms.items():
                values[name] = (term.weight, term.regularizer(wide(prediction.spaces[term.space]), step))
            for name, value in prediction.aux.items():
                values[name] = (self.aux_weights.get(name, 1.0), wide(value))
            loss = torch.stack([weight * value for weight, value in values.values()]).sum()
            energy = energy_per_sample(row_energy.detach(), prediction, num_samples)
        return StepOutput(loss, {name: value.detach() for name, (_, value) in values.items()}, energy)

    def energy(self, prediction: Prediction) -> Float[Tensor, " r"]:
        """Return the energy of each question, in float32 or wider."""
        return self.distance(wide(prediction.z_hat), wide(prediction.z))


def energy_per_sample(row_energy: Float[Tensor, " r"], prediction: Prediction, num_samples: int) -> Float[Tensor, " b"]:
    """Return each sample's weighted mean energy over the questions asked about it (NaN where none was asked)."""
    zeros = row_energy.new_zeros(num_samples)
    total = zeros.index_add(0, prediction.sample, row_energy * prediction.weight)
    return total / zeros.index_add(0, prediction.sample, prediction.weight.to(row_energy.dtype))


@runtime_checkable
class MethodConfig(Protocol):
    """What a method's configuration can do."""

    def build(self, seed: int, num_steps: int) -> Any:
        """Build the method with fresh weights, for a training of so many steps."""
        ...


class JEPA(nn.Module, ABC):
    """Join an encoder, a target provider, a predictor and an objective; a method says how it hides and asks.

    Args:
        encoder: Maps (b, c, h, w) and optional `context_idx` (b, k) to tokens (b, n, d); has `embedding_dim`.
        target: Provider of the embeddings to predict, built over the same encoder.
        objective: What to minimise.
        seed: Seed of this method's own draws (views, masks, slices).
    """

    num_energy_questions = 4
    config_class: ClassVar[type[MethodConfig]]
    config: Any
    preprocess: AnyPreprocess

    def __init__(self, encoder: nn.Module, target: Target, objective: Objective, seed: int = 0):
        super().__init__()
        self.encoder = encoder
        self.target = target
        self.objective = objective
        self.seed = seed

    @property
    def dtype(self) -> torch.dtype:
        """Return the number format of the weights, in which prepared inputs come."""
        return next(self.encoder.parameters()).dtype

    def forward(self, batch: Batch, step: int) -> StepOutput:
        """Predict and score one batch; `step` selects the random draws."""
        return self.objective(self.predict(batch, step), step, len(batch))

    @abstractmethod
    def predict(self, batch: Any, step: int) -> Prediction:
        """Hide, encode, predict; what the objective, the energy and the report read."""

    @abstractmethod
    def questions(self, x: Float[Tensor, "b *t c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Ask about prepared inputs `x` with no augmentation, as `energy` does; gradient is the caller's business."""

    def encode(self, x: Float[Tensor, "b *t c h w"], *, tokens: bool = False) -> Tensor:
        """Return pooled embeddings (b, d), or with `tokens` the (b, n, d) tokens after the final norm."""
        z: Tensor = self.encoder(x)
        return z if tokens else z.mean(dim=1)

    @torch.no_grad()
    def energy(self, x: Float[Tensor, "b *t c h w"]) -> Float[Tensor, " b"]:
        """Return how badly the hidden part of each input was predicted: the mean over a fixed number of questions.

        Every input is asked the same questions, so that its energy does not depend on its place in a batch.

        Raises:
            UserError: The inputs are of another size than those of training, for which the questions are made, or the
                method asks none about a single input.
        """
        height, width = self.preprocess.shape
        if x.shape[-2:] != (height, width):
            raise UserError(
                f"energy takes inputs of {height}x{width}, as in training, got {x.shape[-2]}x{x.shape[-1]}."
            )
        num_frames = getattr(self.preprocess, "num_frames", None)
        if num_frames is not None and x.shape[1] != num_frames:
            raise UserError(f"energy takes clips of {num_frames} frames, as in training, got {x.shape[1]}.")
        ids = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
        energies = []
        for question in range(self.num_energy_questions):
            prediction = self.questions(x, ids, question)
            energies.append(energy_per_sample(self.objective.energy(prediction), prediction, x.shape[0]))
        return torch.stack(energies).mean(dim=0)

    def spaces(self, x: Float[Tensor, "b *t c h w"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the embeddings whose health is watched: `encoder` and, where it differs, `target` or `projector`.

        Targets without gradient are looked at before their head, since whitened ones would look healthy in any
        collapse; a shared target's head is a projector, in whose space the loss is.
        """
        spaces = {"encoder": self.encoder(x)}
        if not self.target.shared:
            return spaces | {"target": self.target.tokens(x)}
        return spaces if self.target.head is None else spaces | {"projector": self.target(x)}

    def after_step(self, step: int) -> None:
        """Move the target towards the encoder, where it is a moving average; called after optimizer step `step`."""
        self.target.after_step(step)

    def save_pretrained(self, path: Path | str) -> None:
        """Write config.json and model.safetensors into a folder, from which `from_pretrained` rebuilds this method."""
        description = {"format": "jepakit", "method": config_to_dict(self.config), "seed": self.seed}
        save_model(path, description, self.state_dict())

    @classmethod
    def from_pretrained(cls, path: Path | str) -> "JEPA":
        """Rebuild a method from what `save_pretrained` wrote, in eval mode.

        Raises:
            UserError: The folder holds no model, one of another method, or weights that do not fit; or this class is no
                method of its own.
        """
        if not hasattr(cls, "config_class"):
            raise UserError(f"{cls.__name__} is no method of its own; load any model with jepakit.load({str(path)!r}).")
        description, weights = read_model(path)
        stored = description.get("method", {}).get("class")
        if stored != cls.config_class.__name__:
            raise UserError(f"{path} holds a {stored}, not a {cls.config_class.__name__}; load it with jepakit.load.")
        config = config_from_dict(cls.config_class, description["method"])
        method: JEPA = config.build(seed=description["seed"], num_steps=1)
        load_weights(method, weights, path)
        return method.eval()

    def param_groups(self) -> list[dict[str, Any]]:
        """Return a group with weight decay (matrices) and one without (biases, norms, tokens and other vectors)."""
        named = [(name, parameter) for name, parameter in self.named_parameters() if parameter.requires_grad]
        decay = [(n, p) for n, p in named if p.ndim > 1 and not n.endswith(("_token", "_position", "position_table"))]
        rest = [(n, p) for n, p in named if not any(p is q for _, q in decay)]
        return [
            {"params": [p for _, p in group], "names": [n for n, _ in group], "decay": is_decayed}
            for group, is_decayed in ((decay, True), (rest, False))
        ]


class HideThenEncode(JEPA):
    """Ask about hidden tokens: the encoder sees the context alone, the target provider sees everything.

    Subclasses give `prepare` (views of a training batch) and `hide`. One pass of the target provider, which is half of
    the work where the encoder is large, serves every mask that `hides` draws.
    """

    predictor: nn.Module

    @abstractmethod
    def prepare(self, batch: Samples, step: int) -> Float[Tensor, "b *t c h w"]:
        """Augment and normalise what a batch holds."""

    @abstractmethod
    def hide(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose the context and the targets of each sample."""

    def hides(self, ids: Int[Tensor, " b"], step: int) -> Sequence[Hidden]:
        """Choose all that is asked of each sample in a step: contexts, each with its targets; one by default."""
        return (self.hide(ids, step),)

    def predict(self, batch: Samples, step: int) -> Prediction:
        """Augment, then ask."""
        return self.questions(self.prepare(batch, step), batch.id, step)

    def questions(self, x: Float[Tensor, "b *t c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Hide part of `x`, encode the rest, predict the embeddings of the hidden part; as often as `hides` asks."""
        return self.all_answers(x, self.target(x), ids, step)

    def all_answers(
        self, x: Float[Tensor, "b *t c h w"], tokens: Float[Tensor, "b n d"], ids: Int[Tensor, " b"], step: int
    ) -> Prediction:
        """Return the answers to all that `hides` asks in a step, where the target provider's tokens are known."""
        return joined([self.answers(x, hidden, tokens, step) for hidden in self.hides(ids, step)])

    def answers(
        self, x: Float[Tensor, "b *t c h w"], hidden: Hidden, tokens: Float[Tensor, "b n d"], step: int = 0
    ) -> Prediction:
        """Return the answers to questions about `x` that anyone may choose.

        Args:
            x: Prepared inputs.
            hidden: What is seen of them and what is asked.
            tokens: What the target provider makes of the whole of `x`; the same for all questions about it.
            step: Selects the draws of the regularized spaces.
        """
        s_y = gather_tokens(tokens, rearrange(hidden.target_idx, "b q m -> b (q m)"))
        s_x = self.encoder(x, hidden.context_idx)
        z_hat = self.ask(s_x, hidden)
        num_rows_each = s_y.shape[1]
        return Prediction(
            z_hat=rearrange(z_hat, "b q m d -> (b q m) d"),
            z=rearrange(s_y, "b m d -> (b m) d"),
            weight=s_y.new_ones(s_y.shape[0] * num_rows_each, dtype=torch.float32),
            sample=repeat(torch.arange(x.shape[0], device=x.device), "b -> (b r)", r=num_rows_each),
            group=rearrange(hidden.target_idx, "b q m -> (b q m)"),
            spaces=self.regularized(tokens, step),
        )

    def ask(self, s_x: Float[Tensor, "b k d"], hidden: Hidden) -> Float[Tensor, "b q m _"]:
        """Return what the predictor makes of the context's tokens at the places asked about."""
        z_hat: Tensor = self.predictor(s_x, hidden.context_idx, hidden.target_idx)
        return z_hat

    def regularized(self, target_tokens: Float[Tensor, "b n d"], step: int) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the spaces that the objective's regularizers read; none by default."""
        return {}


class EncodeThenIndex(JEPA):
    """Ask between views: every view is encoded and projected once, then `relate` says which predicts which."""

    @abstractmethod
    def make_views(self, content: Content, ids: Int[Tensor, " b"], step: int) -> list[View]:
        """Draw the views of each sample."""

    @abstractmethod
    def embed(self, views: list[View]) -> Float[Tensor, "b v d"]:
        """Encode and project every view once."""

    @abstractmethod
    def relate(
        self, z: Float[Tensor, "b v d"], views: list[View]
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b q d"]]:
        """Return predicted and true embeddings for each of the `q` questions between the views of a sample."""

    def predict(self, batch: Samples, step: int) -> Prediction:
        """Draw and embed every view once, then ask between them."""
        return self.ask(batch.content, batch.id, step)

    def questions(self, x: Float[Tensor, "b *t c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Refuse: without a predictor nothing is predicted about a single input."""
        raise UserError(
            f"{type(self).__name__} has no predictor, so it cannot give an energy for a single input; "
            "use a method that predicts (IJEPA, IJEPASIGReg, TransformJEPA, Pixels)."
        )

    def ask(self, content: Content, ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Build the prediction between the views of a batch's content; regularizers read the views as groups."""
        views = self.make_views(content, ids, step)
        z = self.embed(views)
        z_hat, z_true = self.relate(z, views)
        b, q, _ = z_true.shape
        return Prediction(
            z_hat=rearrange(z_hat, "b q d -> (b q) d"),
            z=rearrange(z_true, "b q d -> (b q) d"),
            weight=torch.ones(b * q, device=z.device),
            sample=repeat(torch.arange(b, device=z.device), "b -> (b q)", q=q),
            group=repeat(torch.arange(q, device=z.device), "q -> (b q)", b=b),
            spaces={"projector": z},
        )


def joined(predictions: Sequence[Prediction]) -> Prediction:
    """Return predictions about the same samples as one, in whose mean energy each of them weighs the same.

    The spaces and auxiliary terms are those of the first: regularizers read what the target provider made of the
    samples, which is the same for all.
    """
    if len(predictions) == 1:
        return predictions[0]
    first = predictions[0]
    mean_rows = sum(len(one.weight) for one in predictions) / len(predictions)
    return Prediction(
        z_hat=torch.cat([one.z_hat for one in predictions]),
        z=torch.cat([one.z for one in predictions]),
        weight=torch.cat([one.weight * (mean_rows / len(one.weight)) for one in predictions]),
        sample=torch.cat([one.sample for one in predictions]),
        group=torch.cat([one.group for one in predictions]),
        spaces=first.spaces,
        aux=first.aux,
    )


def wide(x: Tensor) -> Tensor:
    """Return `x` in at least float32: sums over a batch lose too much in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def gather_tokens(tokens: Float[Tensor, "b n d"], idx: Int[Tensor, "b m"]) -> Float[Tensor, "b m d"]:
    """Return the tokens at `idx`, a list of its own for each sample."""
    return tokens.gather(1, repeat(idx, "b m -> b m d", d=tokens.shape[-1]))
