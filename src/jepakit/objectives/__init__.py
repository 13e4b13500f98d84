"""Say what is minimised: distances between embeddings, and the regularizers that keep them from collapsing."""

from jepakit.objectives.distance import DISTANCES as DISTANCES
from jepakit.objectives.distance import cosine as cosine
from jepakit.objectives.distance import l1 as l1
from jepakit.objectives.distance import mse as mse
from jepakit.objectives.distance import smooth_l1 as smooth_l1
from jepakit.objectives.sigreg import ObjectiveWeights as ObjectiveWeights
from jepakit.objectives.sigreg import SIGReg as SIGReg
from jepakit.objectives.sigreg import SIGRegParts as SIGRegParts
from jepakit.objectives.sigreg import decompose as decompose
from jepakit.objectives.sigreg import sliced_epps_pulley as sliced_epps_pulley
from jepakit.objectives.sigreg import weight_from as weight_from
from jepakit.objectives.vicreg import Covariance as Covariance
from jepakit.objectives.vicreg import Variance as Variance
from jepakit.objectives.vicreg import covariance as covariance
from jepakit.objectives.vicreg import variance as variance
from jepakit.objectives.visreg import Scale as Scale
from jepakit.objectives.visreg import scale as scale
