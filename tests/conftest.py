"""Check shape annotations while tests run, and keep every test to one thread."""

import sys
from pathlib import Path

import torch
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent))
install_import_hook("jepakit", "typechecking.check")
torch.set_num_threads(1)
