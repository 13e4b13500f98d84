"""Describe and carry out reproducible runs: one typed function per recipe, one pipeline from data to report."""

from jepakit.recipes.agent import AgentRecipe as AgentRecipe
from jepakit.recipes.agent import live as live
from jepakit.recipes.config import ImageRecipe as ImageRecipe
from jepakit.recipes.config import Recipe as Recipe
from jepakit.recipes.config import SampleRecipe as SampleRecipe
from jepakit.recipes.config import SignalRecipe as SignalRecipe
from jepakit.recipes.config import VideoRecipe as VideoRecipe
from jepakit.recipes.config import WorldData as WorldData
from jepakit.recipes.config import WorldRecipe as WorldRecipe
from jepakit.recipes.data import AudioData as AudioData
from jepakit.recipes.data import ImageData as ImageData
from jepakit.recipes.data import SeriesData as SeriesData
from jepakit.recipes.data import TableData as TableData
from jepakit.recipes.data import VideoData as VideoData
from jepakit.recipes.pipeline import train as train
from jepakit.recipes.table import AGENTS as AGENTS
from jepakit.recipes.table import EXPERIMENTS as EXPERIMENTS
from jepakit.recipes.table import RECIPES as RECIPES
from jepakit.recipes.table import find_agent as find_agent
from jepakit.recipes.table import find_experiment as find_experiment
from jepakit.recipes.table import find_recipe as find_recipe
