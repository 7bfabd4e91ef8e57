"""What a fit has learnt so far, as tensors and plain values, and back again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from skdeepcluster.engine._phases import Phase, Reclustering
    from skdeepcluster.engine._pretraining import Pretraining
    from skdeepcluster.engine._trainer import Trainer
    from skdeepcluster.objectives import Objective

State = dict[str, Any]


def objectives_of(
    phases: Iterable[Phase | Reclustering | Pretraining],
) -> list[Objective]:
    """Objectives with a state of their own, each once, in the order of the phases."""
    found: dict[Objective, None] = {}
    for phase in phases:
        found.update(dict.fromkeys(getattr(phase, "objectives", ())))
    return list(found)


def trainer_state(trainer: Trainer, objectives: Sequence[Objective]) -> State:
    """Everything that lasts beyond a phase."""
    return {
        "network": trainer.network.state_dict(),
        "objectives": [objective.state_dict() for objective in objectives],
        "initialised": [
            i for i, o in enumerate(objectives) if o in trainer.initialised
        ],
        "initial_labels": trainer.initial_labels,
    }


def restore_trainer(
    trainer: Trainer, objectives: Sequence[Objective], state: State
) -> None:
    """Undo `trainer_state`."""
    trainer.network.load_state_dict(state["network"])
    for objective, own in zip(objectives, state["objectives"], strict=True):
        restore_module(objective, own)
    trainer.initialised = {objectives[i] for i in state["initialised"]}
    for objective in trainer.initialised:
        objective.to(trainer.compute.device)  # also what its state does not hold
    trainer.initial_labels = state["initial_labels"]


def restore_module(module: nn.Module, state: State) -> None:
    """Give a module the tensors of a ``state_dict``, whatever shapes it has now.

    Centres are empty before they are initialised, and some buffers are None: for them
    ``load_state_dict`` fails.
    """
    for key in module.state_dict().keys() - state.keys():
        _set(module, key, None)
    for key, value in state.items():
        _set(module, key, value)


def _set(module: nn.Module, key: str, value: Any) -> None:
    prefix, _, name = key.rpartition(".")
    owner = module.get_submodule(prefix)
    if name == "_extra_state":
        owner.set_extra_state(value)
        return
    if isinstance(value, Tensor) and not hasattr(owner, name):
        owner.register_buffer(name, value)  # one that is made when rows are seen
        return
    if isinstance(value, Tensor) and isinstance(getattr(owner, name), nn.Parameter):
        learns = getattr(owner, name).requires_grad
        value = nn.Parameter(value, requires_grad=learns)
    setattr(owner, name, value)
