"""Make views of samples in batches on their device: preprocessing, augmentation, multi-crop, corruptions for tests."""

from jepakit.views.any import AnyPreprocess as AnyPreprocess
from jepakit.views.any import AnyViews as AnyViews
from jepakit.views.augment import Augment as Augment
from jepakit.views.corrupt import CORRUPTIONS as CORRUPTIONS
from jepakit.views.corrupt import SEVERITIES as SEVERITIES
from jepakit.views.corrupt import corrupt as corrupt
from jepakit.views.corrupt import kept_patches as kept_patches
from jepakit.views.corrupt_signals import SERIES_CORRUPTIONS as SERIES_CORRUPTIONS
from jepakit.views.corrupt_signals import corrupt_series as corrupt_series
from jepakit.views.corrupt_tables import TABLE_CORRUPTIONS as TABLE_CORRUPTIONS
from jepakit.views.corrupt_tables import corrupt_table as corrupt_table
from jepakit.views.multicrop import MultiCrop as MultiCrop
from jepakit.views.preprocess import IMAGENET_MEAN as IMAGENET_MEAN
from jepakit.views.preprocess import IMAGENET_STD as IMAGENET_STD
from jepakit.views.preprocess import Preprocess as Preprocess
from jepakit.views.series import SeriesPreprocess as SeriesPreprocess
from jepakit.views.signal_views import SignalViews as SignalViews
from jepakit.views.table import TablePreprocess as TablePreprocess
from jepakit.views.table import TableViews as TableViews
from jepakit.views.texture import drawn_texture as drawn_texture
from jepakit.views.texture import whole_specks as whole_specks
from jepakit.views.view import PARAMS as PARAMS
from jepakit.views.view import View as View
from jepakit.views.view import relative as relative
