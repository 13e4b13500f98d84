"""Embedded environments: vectorised in torch, a state that can be set exactly, pictures as pure functions of it."""

from jepakit.worlds.trajectories import Behaviour as Behaviour
from jepakit.worlds.trajectories import Trajectories as Trajectories
from jepakit.worlds.two_rooms import TwoRooms as TwoRooms
from jepakit.worlds.two_rooms import TwoRoomsState as TwoRoomsState
from jepakit.worlds.world import World as World
