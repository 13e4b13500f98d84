"""Embedded environments, vectorised in torch, with a state that can be set exactly; others through gymnasium."""

from jepakit.worlds.acting import Scripted as Scripted
from jepakit.worlds.acting import Uniform as Uniform
from jepakit.worlds.bouncing_balls import BouncingBalls as BouncingBalls
from jepakit.worlds.bouncing_balls import BouncingBallsState as BouncingBallsState
from jepakit.worlds.collecting import collect as collect
from jepakit.worlds.distracted import Distracted as Distracted
from jepakit.worlds.distracted import DistractedState as DistractedState
from jepakit.worlds.env_goals import Ahead as Ahead
from jepakit.worlds.env_goals import Shown as Shown
from jepakit.worlds.gymnasium_world import EnvState as EnvState
from jepakit.worlds.gymnasium_world import GymnasiumWorld as GymnasiumWorld
from jepakit.worlds.gymnasium_world import WithProprio as WithProprio
from jepakit.worlds.point_maze import PointMaze2D as PointMaze2D
from jepakit.worlds.point_maze import PointMazeState as PointMazeState
from jepakit.worlds.push_disc import PushDisc as PushDisc
from jepakit.worlds.push_disc import PushDiscState as PushDiscState
from jepakit.worlds.reacher import Reacher2D as Reacher2D
from jepakit.worlds.reacher import ReacherState as ReacherState
from jepakit.worlds.roaming import Roaming as Roaming
from jepakit.worlds.swm_two_room import SWMTwoRoom as SWMTwoRoom
from jepakit.worlds.swm_two_room import SWMTwoRoomState as SWMTwoRoomState
from jepakit.worlds.trajectories import Behaviour as Behaviour
from jepakit.worlds.trajectories import Trajectories as Trajectories
from jepakit.worlds.two_rooms import TwoRooms as TwoRooms
from jepakit.worlds.two_rooms import TwoRoomsState as TwoRoomsState
from jepakit.worlds.world import World as World
