"""Tell whether an embedding is healthy: spectra, geometry and variance shares, put together into a verdict in words."""

from jepakit.health.geometry import alignment as alignment
from jepakit.health.geometry import lidar as lidar
from jepakit.health.geometry import uniformity as uniformity
from jepakit.health.measure import Measurements as Measurements
from jepakit.health.measure import measure as measure
from jepakit.health.spectrum import alpha_req as alpha_req
from jepakit.health.spectrum import covariance as covariance
from jepakit.health.spectrum import eigenvalues as eigenvalues
from jepakit.health.spectrum import feature_std as feature_std
from jepakit.health.spectrum import nesum as nesum
from jepakit.health.spectrum import normalised_std as normalised_std
from jepakit.health.spectrum import off_diagonal_correlation as off_diagonal_correlation
from jepakit.health.spectrum import participation_ratio as participation_ratio
from jepakit.health.spectrum import rankme as rankme
from jepakit.health.variance import VarianceParts as VarianceParts
from jepakit.health.variance import variance_parts as variance_parts
from jepakit.health.verdict import Thresholds as Thresholds
from jepakit.health.verdict import Verdict as Verdict
from jepakit.health.verdict import diagnose as diagnose
