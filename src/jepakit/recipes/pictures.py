"""Save the arrays from which the report draws: views, masks, predictions, feature maps and nearest neighbours.

A clip is laid out as a strip of film: the first frame of each tubelet, one beside the other. A map over its tokens is
laid out alike, so all that is drawn of images is drawn of clips.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, Shaped, UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.jepa import EncodeThenIndex, HideThenEncode
from jepakit.methods import Pixels
from jepakit.storage import Run, write_atomically
from jepakit.types import Content, ImageBatch, SignalBatch, VideoBatch
from jepakit.views import AnyPreprocess

_SHOWN = 8
_NEIGHBOURS = 6


@torch.no_grad()
def save_pictures(run: Run, method: Any, content: Content) -> None:
    """Write every picture that fits the method, from samples that training never saw.

    Args:
        run: Where to write, under artifacts/.
        method: The trained method, in eval mode.
        content: Held-out samples; the first few are shown, all are searched for neighbours.
    """
    shown = content[:_SHOWN]
    ids = torch.arange(len(shown), device=content.device)
    save_arrays(run, "features", {"image": seen(method, shown), "pca": pca_maps(method, shown)})
    save_arrays(run, "neighbours", neighbours(method, content))
    if isinstance(method, HideThenEncode):
        save_arrays(run, "masks", masks(method, shown, ids))
        save_arrays(run, "energy", {"image": seen(method, shown), "energy": energy_maps(method, shown)})
    if isinstance(method, Pixels):
        save_arrays(run, "reconstruction", reconstruction(method, shown, ids))
    if isinstance(method, EncodeThenIndex):
        drawn = [_to_pixels(method.preprocess, view.image) for view in method.make_views(shown, ids, 0)]
        same_size = [v for v in drawn if v.shape == drawn[0].shape]
        save_arrays(run, "views", {"image": seen(method, shown), "views": np.stack(same_size, axis=1)})


def seen(method: Any, content: Content) -> NDArray[Any]:
    """Return what people are shown of samples: images as they are, signals as they are laid out."""
    if content.dtype != torch.uint8:
        return _to_pixels(method.preprocess, method.preprocess(content))
    return _pixels(_strip(method, content) if content.ndim == 5 else content)


def pca_maps(method: Any, images: Content) -> NDArray[Any]:
    """Return each token's first three principal components as colours in [0, 1], (n, gh, gw, 3)."""
    tokens = method.encode(method.preprocess(images).to(method.dtype), tokens=True).float()
    n, num_tokens, _ = tokens.shape
    flat = rearrange(tokens, "n k d -> (n k) d")
    centred = flat - flat.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    colours = centred @ axes[:3].T
    low, high = (torch.quantile(colours, q, dim=0) for q in (0.02, 0.98))
    colours = ((colours - low) / (high - low).clamp(min=1e-8)).clamp(0, 1)
    maps: NDArray[Any] = _laid_out(colours.unflatten(0, (n, num_tokens)), grid_of(method, num_tokens)).cpu().numpy()
    return maps


def grid_of(method: Any, num_tokens: int) -> tuple[int, ...]:
    """Return the sides of an encoder's grid of tokens; a convolution's map has nearly the shape of what it sees."""
    height, width = method.preprocess.shape
    wanted = math.log(height / width)
    rows = min(
        (rows for rows in range(1, num_tokens + 1) if num_tokens % rows == 0),
        key=lambda rows: abs(math.log(rows * rows / num_tokens) - wanted),
    )
    grid: tuple[int, ...] = getattr(method.encoder, "grid", (rows, num_tokens // rows))
    return grid


def neighbours(method: Any, images: Content) -> dict[str, NDArray[Any]]:
    """Return the images whose embeddings lie nearest (by cosine) to those of the first few, themselves left out."""
    parts = [method.encode(method.preprocess(part).to(method.dtype)).float() for part in images.split(256)]
    z = torch.cat(parts)
    z = torch.nn.functional.normalize(z - z.mean(dim=0), dim=1)
    similarity = z[:_SHOWN] @ z.T
    similarity.fill_diagonal_(-2.0)
    best = similarity.topk(min(_NEIGHBOURS, len(images) - 1), dim=1)
    found = [seen(method, images[row]) for row in best.indices]
    query = seen(method, images[:_SHOWN])
    return {
        "query": query,
        "neighbours": np.stack(found),
        "similarity": best.values.cpu().numpy(),
    }


def masks(method: Any, images: Content, ids: Int[Tensor, " n"]) -> dict[str, NDArray[Any]]:
    """Return what a step shows and asks of each image, on the grid of patches."""
    kinds: dict[int, Any] = {4: ImageBatch, 5: VideoBatch}
    view = method.prepare(kinds.get(images.ndim, SignalBatch)(images, ids), 0)
    hidden = method.hide(ids, 0)
    grid, num_tokens = method.encoder.grid, method.encoder.num_tokens
    visible = _marked(hidden.context_idx[:, None], num_tokens)
    asked = _marked(hidden.target_idx, num_tokens)
    drawn = method.preprocess.to_pixels(view.float())
    return {
        "image": _pixels(_strip(method, drawn) if drawn.ndim == 5 else drawn),
        "context": _laid_out(visible.mT, grid)[..., 0].cpu().numpy(),
        "targets": rearrange(_laid_out(asked.mT, grid), "n gh gw q -> n q gh gw").cpu().numpy(),
    }


def energy_maps(method: Any, images: Content, num_questions: int = 32) -> NDArray[Any]:
    """Return the mean energy of each position over several masks, (n, gh, gw); NaN where nothing was asked."""
    x = method.preprocess(images).to(method.dtype)
    num_tokens = method.encoder.num_tokens
    total = torch.zeros(len(images) * num_tokens, device=x.device)
    count = torch.zeros_like(total)
    for question in range(num_questions):
        prediction = method.questions(x, torch.zeros(len(x), dtype=torch.long, device=x.device), question)
        energy = method.objective.distance(prediction.z_hat.float(), prediction.z.float())
        place = prediction.sample * num_tokens + prediction.group
        total.index_add_(0, place, energy)
        count.index_add_(0, place, torch.ones_like(energy))
    maps: NDArray[Any] = _laid_out((total / count).view(len(images), -1, 1), method.encoder.grid)[..., 0].cpu().numpy()
    return maps


def reconstruction(method: Any, images: Content, ids: Int[Tensor, " n"]) -> dict[str, NDArray[Any]]:
    """Return images, what of them was shown, and the predicted pixels put in the place of the hidden ones."""
    x = method.preprocess(images).to(method.dtype)
    prediction = method.questions(x, ids, 0)
    height, width = method.encoder.patch_size
    tubelet = method.encoder.config.tubelet_size if x.ndim == 5 else 1
    x = x if x.ndim == 5 else x[:, None]
    cut = "n (gt t) c (gh h) (gw w) -> (n gt gh gw) (c t h w)"
    patches = rearrange(x, cut, t=tubelet, h=height, w=width).clone()
    rows = prediction.sample * method.encoder.num_tokens + prediction.group
    masked, filled = patches.clone(), patches.clone()
    masked[rows] = 0.0
    values = prediction.z_hat
    if method.config.standardise:  # the deviation and mean of each patch are not predicted: borrow the true ones
        variance, mean = torch.var_mean(patches[rows], dim=-1, keepdim=True, correction=0)
        values = values * torch.sqrt(variance + 1e-6) + mean
    filled[rows] = values
    rows_and_columns = dict(zip(("gh", "gw"), method.encoder.grid[-2:], strict=True))
    shape = {"n": len(images), "c": x.shape[2], "t": tubelet, "h": height, "w": width} | rows_and_columns
    back = "(n gt gh gw) (c t h w) -> n (gt t) c (gh h) (gw w)"

    def drawn(flat: Tensor) -> NDArray[Any]:
        clips = rearrange(flat, back, **shape)
        if images.ndim == 5:
            return _pixels(_strip(method, method.preprocess.to_pixels(clips.float())))
        return _to_pixels(method.preprocess, clips[:, 0])

    return {"image": seen(method, images), "masked": drawn(masked), "predicted": drawn(filled)}


def _strip(method: Any, clips: UInt8[Tensor, "n t c h w"]) -> UInt8[Tensor, "n c h w_all"]:
    """Return the first frame of each tubelet of clips, one beside the other."""
    return rearrange(clips[:, :: method.encoder.config.tubelet_size], "n t c h w -> n c h (t w)")


def _laid_out(values: Shaped[Tensor, "n k c"], grid: tuple[int, ...]) -> Shaped[Tensor, "n gh gw_all c"]:
    """Return a map over tokens as rows and columns, of clips the moments side by side."""
    moments = grid[0] if len(grid) == 3 else 1
    return rearrange(values, "n (t gh gw) c -> n gh (t gw) c", t=moments, gh=grid[-2])


def _marked(idx: Int[Tensor, "n q m"], num_tokens: int) -> Tensor:
    return torch.zeros(*idx.shape[:2], num_tokens, dtype=torch.bool, device=idx.device).scatter_(2, idx, True)


def _to_pixels(preprocess: AnyPreprocess, x: Float[Tensor, "n c h w"]) -> NDArray[Any]:
    return _pixels(preprocess.to_pixels(x.float()))


def _pixels(images: UInt8[Tensor, "n c h w"]) -> NDArray[Any]:
    array: NDArray[Any] = rearrange(images, "n c h w -> n h w c").cpu().numpy()
    return array


def save_arrays(run: Run, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write the arrays of one picture under artifacts/, in one step."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **dict(arrays))

    write_atomically(run.file(f"artifacts/{name}.npz"), write)
