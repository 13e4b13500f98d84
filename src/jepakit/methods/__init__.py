"""Hold the methods: one paper, one file."""

from jepakit.methods.ijepa import IJEPA as IJEPA
from jepakit.methods.ijepa import IJEPAConfig as IJEPAConfig
from jepakit.methods.ijepa_sigreg import IJEPASIGReg as IJEPASIGReg
from jepakit.methods.ijepa_sigreg import IJEPASIGRegConfig as IJEPASIGRegConfig
from jepakit.methods.lejepa import LeJEPA as LeJEPA
from jepakit.methods.lejepa import LeJEPAConfig as LeJEPAConfig
from jepakit.methods.pixels import Pixels as Pixels
from jepakit.methods.pixels import PixelsConfig as PixelsConfig
from jepakit.methods.transform_jepa import TransformJEPA as TransformJEPA
from jepakit.methods.transform_jepa import TransformJEPAConfig as TransformJEPAConfig
from jepakit.methods.vicreg import VICReg as VICReg
from jepakit.methods.vicreg import VICRegConfig as VICRegConfig
