"""Load trained models, whatever wrote them."""

from jepakit.hub.exported import EXPORTS as EXPORTS
from jepakit.hub.load import load as load
from jepakit.hub.model import Model as Model
from jepakit.hub.names import METHOD_CONFIGS as METHOD_CONFIGS
from jepakit.hub.names import build_method as build_method
from jepakit.hub.released import import_released as import_released
