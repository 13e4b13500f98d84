"""Search for actions through any world model: candidates, costs, and the plans that come out."""

from jepakit.planning.amortised import Amortised as Amortised
from jepakit.planning.cem import CEM as CEM
from jepakit.planning.cem import ICEM as ICEM
from jepakit.planning.control import Control as Control
from jepakit.planning.control import Planner as Planner
from jepakit.planning.costs import ActionPenalty as ActionPenalty
from jepakit.planning.costs import LatentDistance as LatentDistance
from jepakit.planning.costs import ProbeSpace as ProbeSpace
from jepakit.planning.costs import Reachability as Reachability
from jepakit.planning.costs import WeightedSum as WeightedSum
from jepakit.planning.costs import uses_labels as uses_labels
from jepakit.planning.discrete import CategoricalCEM as CategoricalCEM
from jepakit.planning.gradient import GradientPlanner as GradientPlanner
from jepakit.planning.grasp import GRASP as GRASP
from jepakit.planning.hierarchical import Hierarchical as Hierarchical
from jepakit.planning.learning import learn_policy as learn_policy
from jepakit.planning.learning import learn_reachability as learn_reachability
from jepakit.planning.memory import Memory as Memory
from jepakit.planning.memory import Remembering as Remembering
from jepakit.planning.mppi import MPPI as MPPI
from jepakit.planning.paths import learn_distance as learn_distance
from jepakit.planning.plan import Cost as Cost
from jepakit.planning.plan import Plan as Plan
from jepakit.planning.plan import StepModel as StepModel
from jepakit.planning.plan import WorldModel as WorldModel
from jepakit.planning.proposed import Proposed as Proposed
