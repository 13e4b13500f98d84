"""Make the run directory of a world: a record of played episodes, and arrays of a dot that walks through two rooms."""

import math
from pathlib import Path

import fake_runs
import numpy as np
from fake_runs import interval, write_json

SIDE = 65
GOALS = np.array([[50.0, 40.0], [46.0, 12.0], [52.0, 52.0], [40.0, 30.0]])
REACHED = np.array([True, False, True, True])
NUM_STEPS = 40


def room(dot: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) pixels of a dot in two rooms."""
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[[4, 60]] = picture[:, [4, 60]] = (92, 104, 122)
    picture[:, 31:34] = (92, 104, 122)
    picture[14:23, 31:34] = 0
    y, x = np.mgrid[:SIDE, :SIDE]
    spot = 255 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 1.3**2))
    return np.maximum(picture, spot[..., None].astype(np.uint8))


def way(start: np.ndarray, end: np.ndarray, num: int) -> np.ndarray:
    """Return (num, 2) places from start to end through the door."""
    corners = np.array([start, (32.0, 18.0), end])
    share = np.linspace(0, 2, num)
    return np.stack([np.interp(share, (0, 1, 2), corners[:, axis]) for axis in range(2)], axis=1)


def episodes() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    n, starts = len(GOALS), np.array([[12.0, 50.0], [10.0, 30.0], [20.0, 8.0], [14.0, 44.0]])
    ends = np.where(REACHED[:, None], GOALS, (28.0, 40.0))
    path = np.stack([way(s, e, NUM_STEPS + 1) for s, e in zip(starts, ends, strict=True)])
    path += rng.normal(0, 0.3, path.shape)
    frame_step, plan_step = np.arange(0, NUM_STEPS + 1, 2), np.arange(0, NUM_STEPS, 8)
    frames = np.stack([[room(path[i, s]) for s in frame_step] for i in range(n)])
    plans = np.stack([[way(path[i, s], GOALS[i], 12) for s in plan_step] for i in range(n)])
    wide = np.array([12.0, 6.0, 3.0, 1.0])[None, :, None, None, None]
    elites = plans[:, :1, None] + wide * rng.normal(0, 1, (n, 4, 6, 1, 2)) * np.linspace(0, 1, 12)[:, None]
    return {
        "frames": frames,
        "frame_step": frame_step,
        "path": path,
        "goal": GOALS,
        "imagined": plans[:, 0],
        "plans": plans,
        "plan_step": plan_step,
        "elites": elites,
        "reached": REACHED,
    }


def distance() -> dict[str, np.ndarray]:
    y, x = np.mgrid[4.5:60:16j, 4.5:60:16j]
    far = np.stack([np.hypot(x - goal[0], y - goal[1]) / 40 for goal in GOALS])
    return {
        "background": np.stack([room(goal) for goal in GOALS]),
        "distance": far,
        "goal": GOALS,
        "extent": np.tile([4.0, 4.0, 60.0, 60.0], (len(GOALS), 1)),
    }


def rollout() -> dict[str, np.ndarray]:
    true = episodes()["frames"][:, :9]
    return {"true": true, "imagined": (0.6 * true + 0.4 * np.roll(true, 2, axis=2)).astype(np.uint8)}


def arm(name: str, ends: float, comes: float, seconds: float, *, is_floor: bool = True, **more: object) -> dict:
    n, varies = 500, "episodes"
    return {
        "arm": name,
        "is_floor": is_floor,
        "uses_labels": False,
        "ends": interval(ends, 0.02, n, varies),
        "comes": interval(comes, 0.02, n, varies),
        "seconds_per_episode": 25 * seconds,
        "seconds_per_decision": seconds,
        "note": "",
    } | more


def diagnosis(fails: str = "metric") -> dict:
    swaps = {
        "learned model, latent cost": 0.72,
        "true world, latent cost": 0.74,
        "learned model, true cost": 0.97,
        "true world, true cost": 0.99,
    }
    return {
        "num_episodes": 100,
        "search": "CEM, 128 candidates x 4 rounds x 12 actions held for 4 steps",
        "arms": [
            {
                "arm": name,
                "ends": interval(value, 0.06, 100, "episodes"),
                "comes": interval(min(0.995, value + 0.003), 0.05, 100, "episodes"),
            }
            for name, value in swaps.items()
        ],
        "rank": {"value": 0.137, "low": 0.1, "high": 0.181},
        "spread": 0.2345,
        "drift": [
            {"step": k, "model": 0.01 * k**1.4, "stay": 0.3 * (1 - math.exp(-0.3 * k)), "chance": 1.1}
            for k in range(1, 13)
        ],
        "probe": [
            {"factor": "position", "true": 0.998, "predicted": [0.998 - 0.006 * k for k in range(12)]},
            {"factor": "walls", "true": 0.91, "predicted": [0.9 - 0.002 * k for k in range(12)]},
        ],
        "fails": fails,
        "sentence": "The metric fails: with the true distance the same search reaches 97.0% of the goals.",
    }


def evaluation() -> dict:
    n, varies = 500, "episodes"
    return {
        "format": 1,
        "kind": "world",
        "protocol": {
            "split": "dev",
            "manifest": "two-rooms-dev",
            "num_episodes": n,
            "num_steps": 200,
            "goal": "an image",
            "success": "within 4.5 pixels at the last step",
            "seed": 0,
            "level": 0.95,
            "statement": ["The manifest was committed before the first result.", "No episode is solved at its start."],
        },
        "arms": [
            arm("jepa", 0.934, 0.976, 0.0214, is_floor=False, note="summed latent distance"),
            arm("random policy", 0.062, 0.21, 0.0000042),
            arm("straight line", 0.318, 0.35, 0.00012, uses_labels=True, note="told both places, stopped by walls"),
            arm("random encoder", 0.108, 0.254, 0.0209, note="frozen, with a trained predictor"),
        ],
        "gains": [
            {"arm": "jepa", "against": "random policy"} | interval(0.872, 0.03, n, varies),
            {"arm": "jepa", "against": "random encoder"} | interval(0.826, 0.03, n, varies),
        ],
        "diagnosis": diagnosis(),
        "checkpoint": "last",
        "step": 600,
        "seconds": 81.0,
    }


def write_world_artifacts(path: Path) -> None:
    folder = path / "artifacts"
    folder.mkdir(parents=True, exist_ok=True)
    for name, arrays in (("episodes", episodes()), ("distance", distance()), ("rollout", rollout())):
        np.savez(folder / f"{name}.npz", **arrays)


def world_run(path: Path) -> Path:
    """Write every file that the run of a world can have."""
    method = {"class": "EBJEPAWorldConfig", "frame_skip": 4, "rollout_steps": 4}
    world = {"class": "TwoRooms", "layout": "fixed", "seed": 0}
    fake_runs.write_config(path, 600, recipe="two-rooms", method=method, data={"class": "WorldData", "world": world})
    fake_runs.write_metrics(path, 600)
    write_world_artifacts(path)
    write_json(path / "evaluation.json", evaluation())
    return path
