"""Measure how much memory an import takes: the peak of a process of its own, beside the size of the checkpoint.

    python benchmarks/import_memory.py                        # 60 million weights, seconds
    python benchmarks/import_memory.py --params 1e9           # needs 25 GB of disk for its files, which it removes

Forms: `huggingface`, an I-JEPA's encoder as transformers writes it (queries, keys and values apart, which must be
joined); `meta`, encoder, moving average, predictor and the optimizer's two moments, of which the average and the
predictor are imported; `ours`, what the import wrote, loaded, and each weight read once. The ratio is of the peak,
without what the process had before it began, to the weights of the imported method: for `meta` the average twice (it
embeds, and it is the target).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from jepakit.hub.ijepa import huggingface_encoder, meta_predictor
from jepakit.hub.layout import written
from jepakit.hub.vit_names import meta_encoder
from jepakit.methods import IJEPAConfig
from jepakit.nn import ViTConfig
from jepakit.nn.position import sincos_table

FORMS = ("huggingface", "meta", "ours")
_MEASURED = """
import json, sys
from pathlib import Path
import torch
import jepakit
from jepakit.commands import import_checkpoint

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024

action, path, out = sys.argv[1:]
jepakit.load  # what is imported at all is no part of the measurement
before = peak()
if action == "import":
    method = import_checkpoint(path, out).method
else:
    method = jepakit.load(path).method
    sum(float(p.sum()) for p in method.parameters())
size = sum(p.numel() * p.element_size() for p in method.parameters())
print(json.dumps({"before": before, "peak": peak(), "size": size}))
"""


def main() -> None:
    """Build the files, import each in a process of its own, and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--params", type=float, default=6e7, help="weights of the encoder")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--folder", type=Path, default=None, help="where to put the files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for row in measure(Path(name), int(arguments.params), arguments.forms):
            print(json.dumps(row))


def encoder_of(num_params: int) -> ViTConfig:
    """Return an encoder of about so many weights: that of I-JEPA's giant (1408 wide), as deep as it takes."""
    dim = 1408 if num_params >= 2e8 else 384
    depth = max(1, round(num_params / (12 * dim**2)))
    return ViTConfig(image_size=224, patch_size=16, dim=dim, depth=depth, num_heads=16 if dim == 1408 else 6)


def measure(folder: Path, num_params: int, forms: tuple[str, ...] = FORMS) -> list[dict[str, object]]:
    """Return size, peak and their ratio for each form."""
    encoder = encoder_of(num_params)
    rows = []
    for form in forms:
        path, out = folder / ("file.pth.tar" if form == "meta" else "theirs"), folder / "out"
        if form == "meta":
            write_meta(encoder, path)
        else:
            write_huggingface(encoder, path)
        if form == "ours":
            run("import", path, out)
            rows.append(row("ours", run("load", out, out)))
        else:
            rows.append(row(form, run("import", path, out)))
        shutil.rmtree(out)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return rows


def row(form: str, found: dict[str, int]) -> dict[str, object]:
    """Return one line of the result, in megabytes."""
    taken = found["peak"] - found["before"]
    megabytes = {name: round(value / 1e6) for name, value in (("size", found["size"]), ("peak", found["peak"]))}
    return {
        "form": form,
        **megabytes,
        "ratio": round(taken / found["size"], 3),
        "whole": round(found["peak"] / found["size"], 3),
    }


def run(action: str, path: Path, out: Path) -> dict[str, int]:
    """Import or load in a process of its own."""
    command = [sys.executable, "-c", _MEASURED, action, str(path), str(out)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, int] = json.loads(told.splitlines()[-1])
    return found


def weights_of(encoder: ViTConfig) -> dict[str, torch.Tensor]:
    """Return an encoder's weights by our names; numbers do not matter, but they must take memory."""
    with torch.device("meta"):
        shapes = encoder.build().state_dict()
    return {f"encoder.{name}": torch.full(weight.shape, 0.5) for name, weight in shapes.items()}


def write_huggingface(encoder: ViTConfig, folder: Path) -> None:
    """Write a folder of transformers'."""
    folder.mkdir()
    weights = written(weights_of(encoder), huggingface_encoder(encoder))
    weights["embeddings.position_embeddings"] = sincos_table(encoder.grid, encoder.dim)[None]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    settings = {"model_type": "ijepa", "hidden_size": encoder.dim, "num_hidden_layers": encoder.depth}
    settings |= {"num_attention_heads": encoder.num_heads, "intermediate_size": encoder.mlp_dim, "layer_norm_eps": 1e-6}
    (folder / "config.json").write_text(json.dumps(settings))


def write_meta(encoder: ViTConfig, path: Path) -> None:
    """Write a training state of Meta's."""
    weights = weights_of(encoder)
    held = written(weights, meta_encoder("encoder.", encoder))
    held["pos_embed"] = sincos_table(encoder.grid, encoder.dim)[None]
    theirs = {f"module.{name}": weight for name, weight in held.items()}
    moments = {number: {"exp_avg": weight, "exp_avg_sq": weight} for number, weight in enumerate(weights.values())}
    copies = [{name: weight.clone() for name, weight in theirs.items()} for _ in range(2)]
    torch.save(
        {"encoder": copies[0], "target_encoder": copies[1], "predictor": predictor_of(encoder), "opt": moments}, path
    )


def predictor_of(encoder: ViTConfig) -> dict[str, torch.Tensor]:
    """Return a predictor of the published width, two blocks deep, under Meta's names."""
    from jepakit.masking import MultiBlock
    from jepakit.views import Augment, Preprocess

    config = IJEPAConfig(
        encoder=encoder,
        mask=MultiBlock(grid=encoder.grid),
        augment=Augment(image_size=224),
        preprocess=Preprocess(image_size=224),
        predictor_depth=2,
        predictor_heads=encoder.num_heads,
    )
    predictor = {f"predictor.{name}": weight for name, weight in config.build_predictor().state_dict().items()}
    held = written(predictor, meta_predictor(config))
    held["predictor_pos_embed"] = sincos_table(encoder.grid, config.predictor_dim)[None]
    return {f"module.{name}": weight for name, weight in held.items()}


if __name__ == "__main__":
    main()
