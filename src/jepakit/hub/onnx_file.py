"""Write an encoder as an ONNX file, for runtimes without torch, and check that it computes the same."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jepakit.storage import write_atomically
from jepakit.types import UserError, require
from jepakit.views import ClipPreprocess

LARGEST_DIFFERENCE = 1e-4
"""Most that an output may differ from torch's, relative to the largest output: float32 sums in another order."""
_PROTOBUF = 2**31 - 2**20  # bytes of an ONNX file; weights beyond it go beside it
_BATCH = 2  # a batch of 1 would be taken for a constant


class _Embedded(nn.Module):
    """Return an encoder's tokens and their mean."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode prepared inputs."""
        tokens: Tensor = self.encoder(x)
        return tokens, tokens.mean(dim=1)


def export_onnx(method: Any, out: Path) -> list[Path]:
    """Write an encoder as an ONNX file and run it once beside torch; returns the files.

    The input `x` holds prepared images (b, c, h, w) or clips (b, t, c, h, w) of the size of training, as many as one
    likes; the outputs are `tokens` (b, n, d) and `embedding` (b, d), their mean. Weights beyond 2 GB lie beside the
    file.

    Args:
        method: Any method with an encoder.
        out: The file.

    Raises:
        UserError: The extra is not installed, the encoder cannot be traced, or the file computes something else.
    """
    _require_onnx()
    module = _Embedded(method.encoder).eval()
    x = torch.randn(_BATCH, *_shape_of(method), generator=torch.Generator().manual_seed(0))
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    with _quiet():
        program = torch.onnx.export(
            module,
            (x,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["x"],
            output_names=["tokens", "embedding"],
            verbose=False,
        )
    assert program is not None
    out.parent.mkdir(parents=True, exist_ok=True)
    if size < _PROTOBUF:
        write_atomically(out, lambda temporary: program.save(str(temporary), external_data=False))
    else:
        program.save(str(out), external_data=True)
    _check(module, x, out)
    return sorted(out.parent.glob(f"{out.name}*"))


def _shape_of(method: Any) -> tuple[int, ...]:
    """Return the shape of one prepared sample."""
    preprocess = method.preprocess
    frames = (preprocess.num_frames,) if isinstance(preprocess, ClipPreprocess) else ()
    return (*frames, preprocess.channels, *preprocess.shape)


@torch.no_grad()
def _check(module: nn.Module, x: Tensor, path: Path) -> None:
    """Compare the file with torch on another number of samples than it was written with.

    Raises:
        UserError: They differ.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    more = torch.cat((x, x.flip(0), x[:1]))
    for name, theirs, ours in zip(
        ("tokens", "embedding"), session.run(None, {"x": more.numpy()}), module(more), strict=True
    ):
        difference = float((torch.from_numpy(theirs) - ours).abs().max() / ours.abs().max())
        require(
            difference <= LARGEST_DIFFERENCE,
            f"{path} was written, but its {name} differ from torch's by {difference:.1e} of the largest; leave it.",
        )


def _require_onnx() -> None:
    """Raise `UserError` at once where the file could not be written or checked."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError("ONNX files need onnx, onnxscript and onnxruntime: pip install 'jepakit[onnx]'.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's words about its own parts from the user, who can mend nothing of them."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
