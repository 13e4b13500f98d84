"""Import EB-JEPA's world model (`ac_video`): IMPALA's encoder and a GRU, names as in its public code.

The layout was read from that code (`encoder.stack_blocks.N.*`, `encoder.mlp`, `encoder.final_ln`, `predictor.rnn.*`);
it is tested on files made by the tests, and unverified against a released file.
"""

from pathlib import Path

import torch

from jepakit.hub.foreign import Renaming, read_foreign, tensors_in
from jepakit.methods.ebjepa_world import EBJEPAWorld, EBJEPAWorldConfig
from jepakit.nn.impala import ImpalaConfig
from jepakit.types import UserError
from jepakit.views import Preprocess

_MEAN, _STD = (0.0026, 0.0989), (0.0369, 0.2986)


def import_ebjepa(
    path: Path | str,
    *,
    action_low: tuple[float, ...] = (-2.45, -2.45),
    action_high: tuple[float, ...] = (2.45, 2.45),
    image_size: int = 65,
) -> EBJEPAWorld:
    """Build EB-JEPA's world model from a file of weights, in eval mode; by default for its TwoRooms.

    What only its training needs (`regularizer.`, `predcost.`) is left out, so inverse dynamics start fresh.

    Args:
        path: A state_dict, at the top of the file or under `model_state_dict`, `state_dict` or `model`.
        action_low: Lowest action.
        action_high: Highest action.
        image_size: Side of the frames, which the weights tell only roughly.

    Raises:
        UserError: The file cannot be read without executing it, or a weight is missing, unknown or misshapen; the
            sentence names it.
    """
    held = tensors_in(read_foreign(path), path, ("model_state_dict", "state_dict", "model"))
    source = Renaming({name.removeprefix("_orig_mod."): weight for name, weight in held.items()}, path)
    source.drop("regularizer.")
    source.drop("predcost.")
    stacks = source.count("encoder.stack_blocks.")
    firsts = [source.look(f"encoder.stack_blocks.{n}.initial_conv.weight", 4) for n in range(stacks)]
    if not firsts:
        raise UserError(f"{path} has no 'encoder.stack_blocks.0.initial_conv.weight', so it is no such checkpoint.")
    blocks = source.count("encoder.stack_blocks.0.blocks.")
    encoder = ImpalaConfig(
        image_size=image_size,
        in_channels=firsts[0].shape[1],
        widths=tuple(weight.shape[0] for weight in firsts),
        num_blocks=blocks,
        dim=source.look("encoder.mlp.weight", 2).shape[0],
    )
    preprocess = Preprocess(image_size=image_size, channels=encoder.in_channels)
    if encoder.in_channels == len(_MEAN):
        preprocess = Preprocess(image_size=image_size, channels=len(_MEAN), mean=_MEAN, std=_STD)
    config = EBJEPAWorldConfig(encoder=encoder, preprocess=preprocess, action_low=action_low, action_high=action_high)
    model = config.build(seed=0, num_steps=1)
    _rename(source, stacks, blocks)
    source.fill(model, fresh=("inverse.",))
    return model.eval()


def _rename(source: Renaming, stacks: int, blocks: int) -> None:
    """Rename encoder and predictor; both hold the LayerNorm that they share."""
    for stack in range(stacks):
        source.layer(f"encoder.stack_blocks.{stack}.initial_conv", f"encoder.stacks.{stack}.conv")
        for block in range(blocks):
            for number in (1, 2):
                theirs = f"encoder.stack_blocks.{stack}.blocks.{block}.conv{number}"
                source.layer(theirs, f"encoder.stacks.{stack}.blocks.{block}.{2 * (number - 1)}")
    source.layer("encoder.mlp", "encoder.linear")
    for part in ("weight", "bias"):
        shared, again = source.look(f"encoder.final_ln.{part}"), source.take(f"predictor.final_ln.{part}")
        if not torch.equal(shared, again):
            raise UserError(
                f"{source.origin}: 'predictor.final_ln.{part}' differs from the encoder's, which it shares."
            )
        for way in ("ih", "hh"):
            source.move(f"predictor.rnn.{part}_{way}_l0", f"predictor.cell.{part}_{way}")
    source.layer("encoder.final_ln", "encoder.norm")
