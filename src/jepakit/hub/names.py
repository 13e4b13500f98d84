"""Map the names in configuration files to classes: one literal table, so that no text from outside chooses code."""

from collections.abc import Mapping
from typing import Any

from jepakit.methods import (
    DINOWMConfig,
    EBJEPAWorldConfig,
    IJEPAConfig,
    IJEPASIGRegConfig,
    LeJEPAConfig,
    LeWMConfig,
    PixelsConfig,
    PixelWorldConfig,
    ReleasedConfig,
    TransformJEPAConfig,
    VICRegConfig,
    VJEPAConfig,
)
from jepakit.nearest import nearest
from jepakit.storage import config_from_dict
from jepakit.types import UserError

METHOD_CONFIGS: dict[str, Any] = {
    "DINOWMConfig": DINOWMConfig,
    "EBJEPAWorldConfig": EBJEPAWorldConfig,
    "ReleasedConfig": ReleasedConfig,
    "IJEPAConfig": IJEPAConfig,
    "IJEPASIGRegConfig": IJEPASIGRegConfig,
    "LeJEPAConfig": LeJEPAConfig,
    "LeWMConfig": LeWMConfig,
    "PixelWorldConfig": PixelWorldConfig,
    "PixelsConfig": PixelsConfig,
    "TransformJEPAConfig": TransformJEPAConfig,
    "VICRegConfig": VICRegConfig,
    "VJEPAConfig": VJEPAConfig,
}


def build_method(description: Mapping[str, Any], seed: int, num_steps: int) -> Any:
    """Build the method that a stored configuration describes, with fresh weights.

    Raises:
        UserError: The configuration names no known method, or settings that it does not have.
    """
    return method_config(description).build(seed=seed, num_steps=num_steps)


def method_config(description: Mapping[str, Any]) -> Any:
    """Return the configuration of a method as it was stored.

    Raises:
        UserError: The configuration names no known method, or settings that it does not have.
    """
    name = str(description.get("class"))
    if name not in METHOD_CONFIGS:
        near = nearest(name, METHOD_CONFIGS)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(METHOD_CONFIGS)}."
        raise UserError(f"The configuration names the method {name!r}, which this version does not have; {hint}")
    return config_from_dict(METHOD_CONFIGS[name], description)
