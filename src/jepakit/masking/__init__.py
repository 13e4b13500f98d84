"""Choose which tokens an encoder sees and which are asked about, as pure functions of (grid, sample ids, step)."""

from jepakit.masking.bands import BandMask as BandMask
from jepakit.masking.blocks import Mask as Mask
from jepakit.masking.future import FutureMask as FutureMask
from jepakit.masking.multiblock import BlockMask as BlockMask
from jepakit.masking.multiblock import MultiBlock as MultiBlock
from jepakit.masking.subset import SubsetMask as SubsetMask
from jepakit.masking.tubes import TubeMask as TubeMask
from jepakit.masking.uniform import RandomMask as RandomMask

AnyMask = MultiBlock | RandomMask | BlockMask | BandMask | FutureMask | SubsetMask | TubeMask
