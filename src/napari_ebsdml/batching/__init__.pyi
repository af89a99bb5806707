from .events import BatchEvent
from .files import find_maps
from .run import BatchResult, batch
from .step import Outcome, Step, Work, steps_offered

__all__ = [
    "BatchEvent",
    "BatchResult",
    "Outcome",
    "Step",
    "Work",
    "batch",
    "find_maps",
    "steps_offered",
]
