"""One function per verb: what `jepakit VERB` does, as Python."""

from jepakit.commands.comparison import compare as compare
from jepakit.commands.demonstration import demo as demo
from jepakit.commands.diagnosis import doctor as doctor
from jepakit.commands.embedding import embed as embed
from jepakit.commands.exchanging import export as export
from jepakit.commands.exchanging import import_checkpoint as import_checkpoint
from jepakit.commands.experimenting import experiment as experiment
from jepakit.commands.forecasting import evaluate_forecasts as evaluate_forecasts
from jepakit.commands.living import agent as agent
from jepakit.commands.reaching import evaluate_reaching as evaluate_reaching
from jepakit.commands.reaching import plan as plan
from jepakit.commands.running import build_report as build_report
from jepakit.commands.running import train as train
from jepakit.commands.scoring import evaluate as evaluate
from jepakit.commands.surprising import surprise as surprise
