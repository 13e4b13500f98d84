"""Turn sources of images into typed batches whose order is a pure function of the seed and the step."""

from jepakit.data.decode import to_uint8 as to_uint8
from jepakit.data.folder import Folder as Folder
from jepakit.data.folder import overlooked as overlooked
from jepakit.data.huggingface import HuggingFaceImages as HuggingFaceImages
from jepakit.data.labelled import LabelledImages as LabelledImages
from jepakit.data.labelled import read_labelled as read_labelled
from jepakit.data.loader import Loader as Loader
from jepakit.data.memory import Arrays as Arrays
from jepakit.data.memory import Digits as Digits
from jepakit.data.opening import open_source as open_source
from jepakit.data.order import Order as Order
from jepakit.data.order import split as split
from jepakit.data.parquet import ParquetImages as ParquetImages
from jepakit.data.reading import read_all as read_all
from jepakit.data.source import ImageSource as ImageSource
from jepakit.data.source import NoLabels as NoLabels
from jepakit.data.source import Skipped as Skipped
from jepakit.data.source import Subset as Subset
from jepakit.data.source import Unreadable as Unreadable
