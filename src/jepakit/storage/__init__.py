"""Write and read files so that a kill at any moment leaves the old file or the new one, never half of either."""

from jepakit.storage.atomic import append_line as append_line
from jepakit.storage.atomic import read_json as read_json
from jepakit.storage.atomic import read_object as read_object
from jepakit.storage.atomic import write_atomically as write_atomically
from jepakit.storage.atomic import write_json as write_json
from jepakit.storage.config import config_from_dict as config_from_dict
from jepakit.storage.config import config_to_dict as config_to_dict
from jepakit.storage.config import differences as differences
from jepakit.storage.run import Run as Run
from jepakit.storage.shipped import SHIPPED as SHIPPED
from jepakit.storage.shipped import is_shipped as is_shipped
from jepakit.storage.shipped import located as located
from jepakit.storage.shipped import refuse_shipped as refuse_shipped
from jepakit.storage.tensors import load_tensors as load_tensors
from jepakit.storage.tensors import save_tensors as save_tensors
from jepakit.storage.trajectories import Episode as Episode
from jepakit.storage.trajectories import check_frames as check_frames
from jepakit.storage.trajectories import read_trajectories as read_trajectories
from jepakit.storage.trajectories import write_trajectories as write_trajectories
from jepakit.storage.weights import load_weights as load_weights
from jepakit.storage.weights import read_model as read_model
from jepakit.storage.weights import save_model as save_model
