"""How it is trained: the only place that imports skorch."""

from skdeepcluster.engine._cache import PretrainingCache, pretraining_cache
from skdeepcluster.engine._callbacks import Observer, verbosity
from skdeepcluster.engine._checkpoints import Checkpoints
from skdeepcluster.engine._devices import (
    PRECISIONS,
    Compute,
    memory_errors,
    reuse_host_memory,
)
from skdeepcluster.engine._distributed import group_of
from skdeepcluster.engine._fingerprints import (
    cache_key,
    circumstances,
    class_path,
    data_in_words,
    in_words,
    parameters_in_words,
)
from skdeepcluster.engine._inference import blocks_of, map_blocks
from skdeepcluster.engine._memory import check_room
from skdeepcluster.engine._net import TrainingDivergedError
from skdeepcluster.engine._network import (
    build_network,
    embedding_size_of,
)
from skdeepcluster.engine._phases import (
    OPTIMIZERS,
    Budget,
    LabelChange,
    OptimizerSpec,
    Phase,
    Ramp,
    Reclustering,
    label_change,
)
from skdeepcluster.engine._position_free import position_free
from skdeepcluster.engine._pretraining import PRETRAININGS, Pretraining
from skdeepcluster.engine._progress import set_dropout_generator
from skdeepcluster.engine._random import RandomStreams
from skdeepcluster.engine._rows import Rows, SparseRows, StreamedRows
from skdeepcluster.engine._scaling import Scaling
from skdeepcluster.engine._shards import (
    check_agreement,
    copy_from_first,
    part_of,
)
from skdeepcluster.engine._trainer import Trainer
from skdeepcluster.engine._units import DataScaleWarning

__all__ = [
    "OPTIMIZERS",
    "PRECISIONS",
    "PRETRAININGS",
    "Budget",
    "Checkpoints",
    "Compute",
    "DataScaleWarning",
    "LabelChange",
    "Observer",
    "OptimizerSpec",
    "Phase",
    "Pretraining",
    "PretrainingCache",
    "Ramp",
    "RandomStreams",
    "Reclustering",
    "Rows",
    "Scaling",
    "SparseRows",
    "StreamedRows",
    "Trainer",
    "TrainingDivergedError",
    "blocks_of",
    "build_network",
    "cache_key",
    "check_agreement",
    "check_room",
    "circumstances",
    "class_path",
    "copy_from_first",
    "data_in_words",
    "embedding_size_of",
    "group_of",
    "in_words",
    "parameters_in_words",
    "label_change",
    "map_blocks",
    "memory_errors",
    "part_of",
    "position_free",
    "pretraining_cache",
    "reuse_host_memory",
    "set_dropout_generator",
    "verbosity",
]
