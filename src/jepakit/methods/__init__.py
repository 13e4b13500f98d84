"""Hold the methods: one paper, one file."""

from jepakit.methods.dino_wm import DINOWM as DINOWM
from jepakit.methods.dino_wm import DINOWMConfig as DINOWMConfig
from jepakit.methods.ebjepa_world import EBJEPAWorld as EBJEPAWorld
from jepakit.methods.ebjepa_world import EBJEPAWorldConfig as EBJEPAWorldConfig
from jepakit.methods.ijepa import IJEPA as IJEPA
from jepakit.methods.ijepa import IJEPAConfig as IJEPAConfig
from jepakit.methods.ijepa_sigreg import IJEPASIGReg as IJEPASIGReg
from jepakit.methods.ijepa_sigreg import IJEPASIGRegConfig as IJEPASIGRegConfig
from jepakit.methods.lejepa import LeJEPA as LeJEPA
from jepakit.methods.lejepa import LeJEPAConfig as LeJEPAConfig
from jepakit.methods.lewm import LeWM as LeWM
from jepakit.methods.lewm import LeWMConfig as LeWMConfig
from jepakit.methods.pixel_world import PixelWorld as PixelWorld
from jepakit.methods.pixel_world import PixelWorldConfig as PixelWorldConfig
from jepakit.methods.pixels import Pixels as Pixels
from jepakit.methods.pixels import PixelsConfig as PixelsConfig
from jepakit.methods.released import Released as Released
from jepakit.methods.released import ReleasedConfig as ReleasedConfig
from jepakit.methods.transform_jepa import TransformJEPA as TransformJEPA
from jepakit.methods.transform_jepa import TransformJEPAConfig as TransformJEPAConfig
from jepakit.methods.vicreg import VICReg as VICReg
from jepakit.methods.vicreg import VICRegConfig as VICRegConfig
from jepakit.methods.vjepa import VJEPA as VJEPA
from jepakit.methods.vjepa import VJEPAConfig as VJEPAConfig
