"""An ONNX file computes what the encoder computes, for any number of samples."""

from pathlib import Path

import pytest
import torch
from small_methods import build

import jepakit
from jepakit.hub import onnx_file
from jepakit.types import UserError

try:
    import onnx  # noqa: F401
    import onnxruntime
    import onnxscript  # noqa: F401
except ImportError:
    pytest.skip("jepakit[onnx] not installed", allow_module_level=True)


def test_a_file_computes_what_the_encoder_computes(tmp_path: Path) -> None:
    method = build("ijepa").eval()
    method.save_pretrained(tmp_path / "ours")
    exported = jepakit.export(tmp_path / "ours", tmp_path / "deep/encoder.onnx", to="onnx")
    assert exported.files == [tmp_path / "deep/encoder.onnx"]
    session = onnxruntime.InferenceSession(str(exported.files[0]), providers=["CPUExecutionProvider"])
    x = torch.randn(3, 3, 16, 16)
    tokens, embedding = session.run(["tokens", "embedding"], {"x": x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(tokens), method.encode(x, tokens=True), rtol=0, atol=1e-5)
        torch.testing.assert_close(torch.from_numpy(embedding), method.encode(x), rtol=0, atol=1e-5)
    other = build("ijepa", seed=1).eval()
    with pytest.raises(UserError, match="its tokens differ from torch's by"):
        onnx_file._check(onnx_file._Embedded(other.encoder), x, exported.files[0])
