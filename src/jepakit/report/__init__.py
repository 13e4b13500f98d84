"""Build pages from the files of run directories alone: nothing is trained, loaded or fetched here."""

from jepakit.report.comparison import build_comparison as build_comparison
from jepakit.report.experiment import build_experiment as build_experiment
from jepakit.report.page import build_report as build_report
