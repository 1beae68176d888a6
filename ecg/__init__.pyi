from .inference.classifier import Classification as Classification
from .inference.classifier import Classifier as Classifier
from .inference.classifier import load_model as load_model
from .inference.interpret_recordings import Interpretation as Interpretation
from .interface import compare as compare
from .interface import interpret as interpret
from .interface import measure as measure
from .interface import read as read
from .interface import read_all as read_all
from .interface import simulate as simulate
from .interface import write as write
from .io.errors import RecordingError as RecordingError
from .io.recording import Recording as Recording
from .measurements.types import Measurements as Measurements
from .model_folder.model import ModelError as ModelError

__version__: str
