"""Whether a state that was read is one that this fit can go on from."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skdeepcluster.engine._array_file import ArrayFileError, told_as_another
from skdeepcluster.engine._network import embedding_size_of
from skdeepcluster.engine._phases import OptimizerSpec, Phase, overrides
from skdeepcluster.engine._states import State, objectives_of
from skdeepcluster.objectives import Objective, TensorSpec

if TYPE_CHECKING:
    from skdeepcluster.engine._trainer import Trainer

_OWN = __name__.partition(".")[0] + "."
_EXTRA = "_extra_state"
# What optimizers keep for a parameter that has had a gradient.
_MOMENTS = {"sgd": {"momentum_buffer"}, "adam": {"exp_avg", "exp_avg_sq", "step"}}
_GENERATORS = {"dropout", "batches", "noise"}


class StateCheck:
    """What the state of a fit has to look like, by its network, phases and rows.

    Parameters
    ----------
    trainer : Trainer
        Before its first phase.
    phases : iterable
    """

    def __init__(self, trainer: Trainer, phases: Iterable[Any]) -> None:
        self.trainer = trainer
        self.phases = list(phases)
        self.objectives = objectives_of(self.phases)
        self.n_rows = trainer.shard.total
        self.size = embedding_size_of(trainer.network, trainer.x.shape[1])
        self.parts: dict[str, tuple[Phase, nn.Module]] = {}
        self.histories: dict[str, Any] = {}
        for phase in self.phases:
            self.parts.update(phase.parts(trainer.network))
            self.histories.update(phase.histories(trainer.network))

    def check(self, found: Any) -> None:
        """Refuse what does not fit; numbers are looked at where they are there.

        Raises
        ------
        ArrayFileError
        """
        with told_as_another("It has another structure."):
            self._check(found)

    def _check(self, found: State) -> None:
        finished, running, own = (found[k] for k in ("finished", "running", "trainer"))
        for name, history in finished.items():
            check_history(history, self.histories[name])
        begun = {name for name in self.parts if name in finished}
        if running is not None:
            name, state = running
            _require(name in self.parts and name not in finished, "phases")
            begun.add(name)
        self._check_trainer(own, [self.parts[name][0] for name in begun])
        if running is not None:
            self._check_running(*self.parts[name], state, own)

    def _check_trainer(self, state: State, begun: list[Phase]) -> None:
        names = {"network", "objectives", "initialised", "initial_labels"}
        _require(state.keys() == names, "names")
        check_network(self.trainer.network, state["network"])
        initialised = state["initialised"]
        _require(type(initialised) is list, "objectives")
        _require(set(initialised) <= set(range(len(self.objectives))), "objectives")
        known = {self.objectives[number] for number in initialised}
        pairs = zip(self.objectives, state["objectives"], strict=True)
        for objective, own in pairs:
            self._check_objective(objective, own, self._expected(objective, known))
        needed = [o for o in objectives_of(begun) if _has_start(o)]
        _require(known.issuperset(needed), "objectives")
        labels, clusterings = state["initial_labels"], [p.clustering for p in begun]
        if labels is not None or any(clusterings):
            self._check_labels(labels, max(map(_n_clusters, self.objectives)))

    def _check_labels(self, labels: Any, n_clusters: int) -> None:
        self._check_tensor(labels, TensorSpec((self.n_rows,), torch.int64, n_clusters))

    def _check_tensor(self, value: Any, expected: TensorSpec) -> None:
        dtype = expected.dtype or self.trainer.compute.dtype
        _require(isinstance(value, Tensor) and value.dtype is dtype, "dtypes")
        _require(value.shape == expected.shape, "shapes")
        _require_finite(value)
        if expected.below is not None and value.numel() and not value.is_meta:
            in_range = 0 <= value.min() and value.max() < expected.below
            _require(bool(in_range), "numbers that are not in range")

    def _expected(
        self, objective: Objective, known: set[Objective]
    ) -> dict[str, TensorSpec]:
        """What an objective, or one inside of it, has been given by the rows."""
        expected = {}
        for prefix, part in objective.named_modules():
            if part in known and _says(part, "expected_state"):
                found = part.expected_state(self.n_rows, self.size)  # type: ignore[operator]
                dot = "." if prefix else ""
                expected.update({f"{prefix}{dot}{k}": v for k, v in found.items()})
        return expected

    def _check_objective(
        self, objective: Objective, state: State, expected: Mapping[str, TensorSpec]
    ) -> None:
        before, is_own = objective.state_dict(), _is_own(objective)
        parameters = dict(objective.named_parameters())
        needed = before.keys() if is_own else parameters.keys()
        _require(needed <= state.keys(), "names")
        for name, value in state.items():
            if name in expected:
                self._check_tensor(value, expected[name])
            elif _is_extra(name):
                _check_extra(objective, name, value, before[name])
            elif is_own:
                self._check_as_before(value, before[name])
            else:
                _require(_is_free(objective, name, value), "names")

    def _check_as_before(self, value: Any, before: Tensor) -> None:
        """The shape stays; numbers may become those in which the network computes."""
        _require(isinstance(value, Tensor) and value.shape == before.shape, "shapes")
        dtypes = {before.dtype}
        if before.is_floating_point():
            dtypes.add(self.trainer.compute.dtype)
        _require(value.dtype in dtypes, "dtypes")
        _require_finite(value)

    def _check_running(
        self, phase: Phase, network: nn.Module, state: State, own: State
    ) -> None:
        names = {"net", "generators", "targets", "labels", "window", "history"}
        _require(state.keys() == names, "names")
        self._check_net(phase, state["net"], self._learnt(phase, network, own))
        self._check_generators(state["generators"])
        for objective, target in zip(phase.objectives, state["targets"], strict=True):
            self._check_target(objective, target, phase.refresh_every is not None)
        labelled = phase.refresh_every is not None and phase.clustering is not None
        n_clusters = max(map(_n_clusters, phase.objectives))
        _require(labelled or state["labels"] is None, "labels")
        if labelled:
            self._check_labels(state["labels"], n_clusters)
        _require((state["window"] is None) == (phase.stop is None), "window")
        if state["window"] is not None:
            step, labels = state["window"]
            _require(_is_count(step), "window")
            _require(labelled or labels is None, "labels")
            if labelled:
                self._check_labels(labels, n_clusters)
        history = state["history"]
        check_history(history, phase.histories(network)[phase.name])
        lengths = {len(history[k]) for k in history.keys() - {"loss"}}
        _require(len(lengths) < 2, "history")

    def _learnt(self, phase: Phase, network: nn.Module, own: State) -> list[Any]:
        """Shapes and dtypes of what learns, in the order of the optimizer."""
        learnt = {p: (p.shape, p.dtype) for p in network.parameters()}
        for objective in phase.objectives:
            state = objective.state_dict()
            if objective in self.objectives:
                state = own["objectives"][self.objectives.index(objective)]
            for name, p in objective.named_parameters():  # once where shared
                learnt[p] = state[name].shape, state[name].dtype
        return [found for p, found in learnt.items() if p.requires_grad]

    def _check_net(self, phase: Phase, net: State, learnt: list[Any]) -> None:
        _require(net.keys() == {"losses", "steps", "rate", "moments"}, "names")
        _check_numbers(net["losses"], phase.epochs)
        _require(len(net["losses"]) > 0 and _is_count(net["steps"]), "steps")
        rate = net["rate"]
        _require(type(rate) is float and 0 <= rate < math.inf, "rates")
        for (shape, dtype), moments in zip(learnt, net["moments"], strict=True):
            self._check_moments(phase.optimizer, shape, dtype, moments)

    def _check_moments(
        self, spec: OptimizerSpec, shape: torch.Size, dtype: torch.dtype, moments: State
    ) -> None:
        _require(not moments or moments.keys() == _MOMENTS[spec.name], "moments")
        for name, value in moments.items():
            if name == "step":
                self._check_tensor(value, TensorSpec((), torch.float32))
            else:
                self._check_tensor(value, TensorSpec(tuple(shape), dtype))

    def _check_target(self, objective: Objective, target: Any, refreshes: bool) -> None:
        expected = None
        if _says(objective, "expected_target"):
            expected = objective.expected_target(self.n_rows, self.size)
        if refreshes and expected is not None:
            self._check_tensor(target, expected)
        elif refreshes and overrides(objective, "refresh"):
            _require(target is None or len(target) == self.n_rows, "targets")
        else:
            _require(target is None, "targets")

    def _check_generators(self, generators: Any) -> None:
        device, group = self.trainer.compute.device.type, self.trainer.shard.group
        _require(type(generators) is list and len(generators) == group.size, "ranks")
        for states in generators:
            _require(states.keys() == _GENERATORS, "generators")
            for purpose, state in states.items():
                on = "cpu" if purpose == "batches" else device
                generator = torch.Generator(on)
                shape = tuple(generator.get_state().shape)
                self._check_tensor(state, TensorSpec(shape, torch.uint8))
                if not state.is_meta:
                    generator.set_state(state)


def check_network(network: nn.Module, state: Any) -> None:
    """Refuse another network's state than that of `network`.

    Raises
    ------
    ArrayFileError
    """
    own, parameters = network.state_dict(), dict(network.named_parameters())
    _require(type(state) is dict and state.keys() == own.keys(), "names")
    for name, value in own.items():
        found = state[name]
        if _is_extra(name):
            _check_extra(network, name, found, value)
            continue
        _require(isinstance(found, Tensor) and found.shape == value.shape, "shapes")
        _require(found.dtype is value.dtype, "dtypes")
        if name in parameters:
            _require_finite(found)


def check_history(history: Any, expected: Mapping[str, Any]) -> None:
    """Refuse what is not a history.

    Parameters
    ----------
    history : object
    expected : mapping
        Name -> how many numbers there may be at most, or, for a list of as many lists,
        how many in each of these; None for any number of them.

    Raises
    ------
    ArrayFileError
    """
    _require(type(history) is dict and history.keys() == expected.keys(), "history")
    for name, at_most in expected.items():
        if not isinstance(at_most, list):
            _check_numbers(history[name], at_most)
            continue
        _require(type(history[name]) is list, "history")
        for numbers, most in zip(history[name], at_most, strict=True):
            _check_numbers(numbers, most)


def _check_numbers(numbers: Any, at_most: int | None = None) -> None:
    _require(type(numbers) is list, "history")
    _require(all(type(x) in (int, float) for x in numbers), "history")
    _require(all(map(math.isfinite, numbers)), "history")
    _require(at_most is None or len(numbers) <= at_most, "history")


def _is_extra(name: str) -> bool:
    return name.rpartition(".")[2] == _EXTRA


def _check_extra(module: nn.Module, name: str, value: Any, before: Any) -> None:
    """Refuse what the owner of an extra state does not take.

    That of a user's class may be anything, and of another type once it has learnt.
    """
    owner = module.get_submodule(name.removesuffix(_EXTRA).removesuffix("."))
    if type(owner).__module__.startswith(_OWN):
        _require(type(value) is type(before), "extra state")
        is_nan = isinstance(value, float) and math.isnan(value)
        _require(not is_nan, "extra state")
    if not _has_meta(value):
        # Of both a copy: the owner may take the value apart.
        copy.deepcopy(owner).set_extra_state(copy.deepcopy(value))


def _has_meta(value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_has_meta, value))
    return isinstance(value, Tensor) and value.is_meta


def _says(objective: nn.Module, hook: str) -> bool:
    """Whether what a `hook` says holds for an objective.

    A user's class may do otherwise than the one of ours from which it has the hook.
    """
    ours = getattr(type(objective), hook).__module__.startswith(_OWN)
    return _is_own(objective) or not ours


def _is_free(objective: Objective, name: str, value: Any) -> bool:
    """Whether a tensor can be one of a user's objective, which may be of any shape.

    It may also be made when rows are seen, but not in the place of a method.
    """
    prefix, _, own = name.rpartition(".")
    owner = objective.get_submodule(prefix)
    known = own in owner._buffers or own in owner._parameters
    new = own.isidentifier() and not hasattr(owner, own)
    return isinstance(value, Tensor) and (known or new)


def _is_own(objective: nn.Module) -> bool:
    """Whether an objective is of this package, so that all of its state is known."""
    return all(type(part).__module__.startswith(_OWN) for part in objective.modules())


def _has_start(objective: Objective) -> bool:
    return overrides(objective, "initialise") or overrides(objective, "prepare")


def _n_clusters(objective: Any) -> int:
    return int(getattr(objective, "n_clusters", 0))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _require_finite(value: Tensor) -> None:
    if value.is_floating_point() and not value.is_meta:
        _require(bool(value.isfinite().all()), "numbers that are not finite")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ArrayFileError(f"It has other {what} than this fit.")
