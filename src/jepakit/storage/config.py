"""Turn nested frozen dataclasses into JSON and back, refusing unknown keys with the nearest known name."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from jepakit.nearest import nearest
from jepakit.types import UserError

T = TypeVar("T")
_MISSING = object()


def config_to_dict(config: Any) -> Any:
    """Return a config as plain JSON values; a dataclass also notes its class under `class`."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {field.name: config_to_dict(getattr(config, field.name)) for field in dataclasses.fields(config)}
        return {"class": type(config).__name__} | fields
    if isinstance(config, Mapping):
        return {str(key): config_to_dict(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [config_to_dict(value) for value in config]
    return config


def config_from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Rebuild a config of class `cls` from what `config_to_dict` gave.

    A field takes the dataclasses of its annotation and their subclasses, so that no text from outside chooses code that
    was not imported already.

    Raises:
        UserError: A key is unknown, or the class noted in the file is not one that the field accepts.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(typing.cast(Any, cls))}
    given = {key: value for key, value in values.items() if key != "class"}
    for key in given:
        if key not in known:
            near = nearest(key, known)
            hint = f"; did you mean {near!r}?" if near else f"; known are {', '.join(sorted(known))}."
            raise UserError(f"{cls.__name__} has no setting {key!r}{hint}")
    return cls(**{key: _rebuild(hints[key], value) for key, value in given.items()})


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """List where two JSON values differ, one line each: `path: old -> new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in [*old, *(key for key in new if key not in old)]:
            lines += differences(old.get(key, _MISSING), new.get(key, _MISSING), f"{path}.{key}" if path else key)
        return lines
    return [] if old == new else [f"{path}: {_show(old)} -> {_show(new)}"]


def _show(value: Any) -> str:
    return "absent" if value is _MISSING else repr(value)


def _rebuild(hint: Any, value: Any) -> Any:
    """Return `value` as the annotation asks: dataclasses rebuilt, JSON lists as tuples."""
    if isinstance(value, Mapping) and "class" in value:
        candidates: list[Any] = [c for c in _alternatives(hint) if dataclasses.is_dataclass(c)]
        for candidate in candidates + [sub for c in candidates for sub in c.__subclasses__()]:
            if candidate.__name__ == value["class"]:
                return config_from_dict(candidate, value)
        accepted = ", ".join(c.__name__ for c in candidates) or "no dataclass"
        raise UserError(
            f"The stored class {value['class']!r} does not fit here (accepted: {accepted}); if it is yours, import the "
            "module that defines it first."
        )
    if isinstance(value, list):
        inner = [a for option in _alternatives(hint) for a in typing.get_args(option) if a is not Ellipsis]
        return tuple(_rebuild(inner[min(i, len(inner) - 1)] if inner else Any, v) for i, v in enumerate(value))
    return value


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)
