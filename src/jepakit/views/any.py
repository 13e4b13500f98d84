"""Name what a method may be given, whatever it learns from: preprocessing, and the rules by which views are drawn."""

from jepakit.views.augment import Augment
from jepakit.views.clips import ClipPreprocess, ClipViews
from jepakit.views.mel import MelPreprocess, WavePreprocess
from jepakit.views.preprocess import Preprocess
from jepakit.views.series import SeriesPreprocess
from jepakit.views.signal_views import SignalViews
from jepakit.views.sound_views import SoundViews
from jepakit.views.table import TablePreprocess, TableViews

SoundPreprocess = MelPreprocess | WavePreprocess
AnyPreprocess = Preprocess | ClipPreprocess | SeriesPreprocess | TablePreprocess | MelPreprocess | WavePreprocess
AnyViews = Augment | ClipViews | SignalViews | SoundViews | TableViews
