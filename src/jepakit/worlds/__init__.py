"""Embedded environments: vectorised in torch, a state that can be set exactly, pictures as pure functions of it."""

from jepakit.worlds.two_rooms import TwoRooms as TwoRooms
from jepakit.worlds.two_rooms import TwoRoomsState as TwoRoomsState
