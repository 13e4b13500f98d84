"""Search for actions through any world model: candidates, costs, and the plans that come out."""

from jepakit.planning.cem import CEM as CEM
from jepakit.planning.costs import LatentDistance as LatentDistance
from jepakit.planning.plan import Cost as Cost
from jepakit.planning.plan import Plan as Plan
from jepakit.planning.plan import WorldModel as WorldModel
