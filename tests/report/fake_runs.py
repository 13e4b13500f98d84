"""Make run directories as a training writes them, out of scikit-learn's digits and invented numbers."""

import json
import math
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

SPACES = ("encoder", "target", "projector")


def digits(count: int = 64) -> np.ndarray:
    """Return (n, 8, 8, 1) uint8 scans."""
    return (load_digits().images[:count] * 15.9).astype(np.uint8)[..., None]


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_config(path: Path, num_steps: int = 2000, **changes: object) -> None:
    config = {
        "class": "Recipe",
        "recipe": "digits-ijepa-sigreg",
        "seed": 0,
        "method": {
            "class": "IJEPAConfig",
            "encoder": {
                "class": "ViTConfig",
                "image_size": [8, 8],
                "patch_size": 2,
                "width": 96,
                "depth": 6,
                "heads": 3,
            },
            "predictor": {"class": "PredictorConfig", "width": 48, "depth": 3},
            "target": "ema",
            "distance": "smooth_l1",
            "ema_start": 0.99,
            "sigreg_weight": 0.05,
        },
        "data": {
            "class": "ImageData",
            "train": "digits",
            "probe": None,
            "stored_size": 8,
            "test_fraction": 0.3,
            "split_seed": 0,
        },
        "training": {
            "class": "TrainingConfig",
            "num_steps": num_steps,
            "batch_size": 256,
            "learning_rate": 0.002,
            "weight_decay": 0.05,
            "betas": [0.9, 0.999],
            "clip_norm": None,
            "precision": "auto",
        },
    }
    write_json(path / "config.json", config | changes)
    write_json(
        path / "env.json",
        {
            "command": "jepakit train digits-ijepa-sigreg --out runs/demo --training.num-steps 2000",
            "jepakit": "0.1.0",
            "python": "3.12.3",
            "torch": "2.13.0+cpu",
            "platform": "Linux-6.8-x86_64-with-glibc2.36",
            "cpu_count": 2,
            "threads": 2,
            "device": "cpu",
            "started": "2026-11-22T17:41:03+00:00",
        },
    )


def train_row(step: int, num_steps: int, rng: np.random.Generator) -> dict[str, object]:
    share = step / num_steps
    energy = 0.11 + 0.5 * math.exp(-6 * share) + 0.012 * rng.normal()
    sigreg = 3.2 * math.exp(-9 * share) + 0.21 + 0.03 * abs(rng.normal())
    return {
        "kind": "train",
        "step": step,
        "loss": energy + 0.05 * sigreg,
        "gradient_norm": 0.4 + 2.5 * math.exp(-8 * share) + 0.2 * abs(rng.normal()),
        "energy": energy,
        "term/prediction": energy,
        "term/sigreg": sigreg,
        "learning_rate": 0.002 * min(1.0, share / 0.1) * 0.5 * (1 + math.cos(math.pi * share)),
        "seconds": 97.3 * share,
        "seconds_per_step": 0.048,
        "images_per_s": 5260 + 160 * rng.normal(),
    }


def health_row(step: int, num_steps: int, kind: str = "healthy") -> dict[str, object]:
    share = step / num_steps
    healthy = kind == "healthy"
    if healthy:
        evidence = [
            "RankMe of the encoder is 61.2 of 96 directions, rising since step 400.",
            "Feature std is 0.83 of that of an isotropic embedding.",
            "71% of the variance at a position lies across samples, so tokens tell what, not only where.",
        ]
        sentence, advice = "The embedding is healthy: it uses many directions and tells images apart.", []
    else:
        evidence = ["RankMe of the encoder is 1.9 of 96 directions.", "Feature std fell below 0.02 of isotropic."]
        sentence = "The embedding is collapsing onto a few directions: it no longer tells most images apart."
        advice = ["Raise the weight of SIGReg from 0.05 to 0.2.", "Lower the learning rate, or start the EMA at 0.996."]
    values = {}
    for i, space in enumerate(SPACES):
        size = (96, 96, 64)[i]
        values[space] = {
            "feature_std": (0.83 if healthy else 0.02) * (1 - 0.5 * math.exp(-5 * share)) + 0.03 * i,
            "rankme": size * ((0.63 if healthy else 0.02) * (1 - math.exp(-4 * share)) + 0.03 - 0.004 * i),
            "participation_ratio": size * 0.31 * (1 - math.exp(-4 * share)) + 1,
            "alpha_req": 1.1 + 1.4 * math.exp(-5 * share),
            "nesum": 9.5 * (1 - math.exp(-4 * share)) + 1,
            "lidar": size * 0.4 * (1 - math.exp(-3 * share)) + 1,
            "alignment": 0.21 + 0.5 * math.exp(-3 * share),
            "uniformity": -2.9 * (1 - math.exp(-3 * share)),
            "across_share": 0.71 * (1 - 0.7 * math.exp(-5 * share)) + 0.02 * i,
            "off_diagonal_correlation": 0.12 + 0.4 * math.exp(-4 * share),
        }
    return {
        "kind": "health",
        "step": step,
        "verdict": {"kind": kind, "healthy": healthy, "sentence": sentence, "evidence": evidence, "advice": advice},
        "spaces": values,
    }


def write_metrics(path: Path, num_steps: int = 2000, *, kind: str = "healthy", seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    rows = [health_row(0, num_steps, "total collapse")]
    for step in range(20, num_steps + 1, 20):
        rows.append(train_row(step, num_steps, rng))
        if step % 200 == 0:
            rows.append(health_row(step, num_steps, kind))
    path.mkdir(parents=True, exist_ok=True)
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def block(rng: np.random.Generator, grid: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((grid, grid), bool)
    h, w = rng.integers(low, high + 1, 2)
    top, left = rng.integers(0, grid - h + 1), rng.integers(0, grid - w + 1)
    mask[top : top + h, left : left + w] = True
    return mask


def write_artifacts(path: Path, grid: int = 4) -> None:
    folder = path / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    scans = digits()
    images = scans[:8]
    targets = np.stack([[block(rng, grid, 1, 2) for _ in range(4)] for _ in range(8)])
    context = np.stack([block(rng, grid, 3, 4) & ~t.any(axis=0) for t in targets])
    np.savez(folder / "masks.npz", image=images, context=context, targets=targets)
    views = np.stack([[np.roll(image, tuple(rng.integers(-1, 2, 2)), (0, 1)) for _ in range(4)] for image in images])
    np.savez(folder / "views.npz", image=images, views=views)
    patches = images.reshape(8, grid, 2, grid, 2).mean(axis=(2, 4)) / 255.0
    position = np.linspace(0, 1, grid)
    pca = np.stack([patches, 1 - patches, np.broadcast_to(position, patches.shape)], axis=-1)
    np.savez(folder / "features.npz", image=images, pca=pca)
    np.savez(folder / "energy.npz", image=images, energy=0.1 + 0.4 * patches + 0.05 * rng.random(patches.shape))
    flat = scans.reshape(len(scans), -1).astype(float)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    similarity = flat @ flat.T
    order = np.argsort(-similarity, axis=1)[:6, 1:9]
    np.savez(
        folder / "neighbours.npz",
        query=scans[:6],
        neighbours=scans[order],
        similarity=np.take_along_axis(similarity[:6], order, axis=1),
        names=np.array([[f"digit {j}" for j in row] for row in order]),
    )
    masked = np.where(context.repeat(2, 1).repeat(2, 2)[..., None], images, 128).astype(np.uint8)
    predicted = (0.8 * images + 25).astype(np.uint8)
    np.savez(folder / "reconstruction.npz", image=images, masked=masked, predicted=predicted)


def write_skipped(path: Path) -> None:
    write_json(
        path / "skipped.json",
        [
            {"name": "train/<script>.png", "reason": "truncated after 312 bytes"},
            {"name": "train/a/broken.jpg", "reason": "not an image"},
            {"name": "train/zero.png", "reason": "0 x 0 pixels"},
        ],
    )


def write_evaluation(path: Path) -> None:
    write_json(path / "evaluation.json", evaluation())


def full_run(path: Path, num_steps: int = 600) -> Path:
    """Write every file that a run can have."""
    write_config(path, num_steps)
    write_metrics(path, num_steps)
    write_artifacts(path)
    write_skipped(path)
    write_evaluation(path)
    return path


def interval(value: float, half: float, n: int, varies: str) -> dict[str, object]:
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n, "varies": varies}


ARMS = {"jepa": 0.948, "random init": 0.828, "raw pixels": 0.842, "augmented raw pixels": 0.861}
PROBES = {"ridge": 0.03, "logistic": 0.028, "knn": 0.02, "kshot_1": -0.2, "kshot_5": 0.0, "kshot_10": 0.018}
LAYERS = {
    "jepa": ("last layer, after the final norm", "mean of tokens"),
    "random init": ("last layer, after the final norm", "mean of tokens"),
    "raw pixels": ("raw pixels", "none"),
    "augmented raw pixels": ("raw pixels", "none; train set with 4 augmented copies of each image"),
    "chance": ("none", "none"),
}


def evaluation() -> dict[str, object]:
    """Return a document of the form that `jepakit.evaluation.table` describes."""
    rng = np.random.default_rng(0)
    scores, gains, robustness = [], [], []
    for probe, lift in PROBES.items():
        n, varies, half = (100, "label draws", 0.009) if "kshot" in probe else (540, "test items", 0.014)
        values = {arm: min(0.992, v + lift + 0.006 * rng.normal()) for arm, v in ARMS.items()}
        for arm, value in (values | {"chance": 0.1}).items():
            told = interval(value, half, n, varies) if arm != "chance" else interval(0.1, 0.0, 0, "nothing")
            layer, pooling = LAYERS[arm]
            where = {"layer": layer, "pooling": pooling, "is_floor": arm != "jepa", "chosen": "penalty 0.1"}
            scores.append({"name": probe, "arm": arm} | told | where)
        best = max((arm for arm in values if arm != "jepa"), key=values.__getitem__)
        gain = values["jepa"] - values[best]
        gains.append({"name": probe, "arm": "jepa", "against": best} | interval(gain, 0.011, n, varies))
    for arm, value in ARMS.items():
        for probe in ("ridge", "logistic", "knn"):
            clean = value + PROBES[probe]
            for kind, rate in (("noise", 0.05), ("blur", 0.09), ("occlusion", 0.08), ("patch_drop", 0.12)):
                rate = rate if arm == "jepa" else 1.6 * rate
                told = [0.1 + (clean - 0.1) * math.exp(-rate * s) for s in range(1, 6)]
                robustness.append(
                    {
                        "arm": arm,
                        "probe": probe,
                        "kind": kind,
                        "severity": [1, 2, 3, 4, 5],
                        "clean": interval(clean, 0.014, 540, "test items"),
                        "accuracy": [interval(v, 0.02, 540, "test items") for v in told],
                        "area": sum(told) / 5,
                        "relative": [(v - 0.1) / (clean - 0.1) for v in told],
                        "drift": [0.02 * s for s in range(1, 6)],
                        "separation": 0.74,
                    }
                )
    protocol = {
        "split": "test",
        "num_train": 1257,
        "num_test": 540,
        "num_classes": 10,
        "seed": 0,
        "level": 0.95,
        "statement": [
            "Every arm goes through the same probes with the same number of tried settings; encoders are frozen.",
            "k-shot: 100 label draws shared by all arms, rule ridge.",
        ],
        "tried": {"ridge": 38, "knn": 1},
    }
    return {"format": 1, "protocol": protocol, "scores": scores, "gains": gains, "robustness": robustness}
