import gc

import pytest
import torch

from skdeepcluster.engine import _lanes
from skdeepcluster.engine._lanes import Lane


class Graph:
    """In place of a CUDA graph: notes what it is asked for."""

    made = []

    def __init__(self):
        self.generators, self.pool, self.ended = [], None, False
        self.fails = False
        self.made.append(self)

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def capture_begin(self, pool, capture_error_mode):
        assert capture_error_mode == "thread_local"
        assert _lanes._CAPTURING.locked() and not gc.isenabled()
        self.pool = pool

    def capture_end(self):
        self.ended = True
        if self.fails:
            raise RuntimeError("operation failed due to a previous error")


@pytest.fixture
def lane(monkeypatch):
    pools = iter(range(1, 100))
    monkeypatch.setattr(Graph, "made", [])
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: next(pools))
    return Lane(torch.device("cpu"))


def test_recordings_share_memory_that_an_anchor_keeps(lane):
    generators = [torch.Generator(), torch.Generator()]
    for i in range(3):
        graph, answer = lane.record(lambda i=i: torch.full((), i), generators)
        assert graph is Graph.made[-1] and answer == i
        assert graph.generators == generators
    assert len(Graph.made) == 4
    assert Graph.made[0].generators == []
    assert {graph.pool for graph in Graph.made} == {1}
    assert lane.records
    assert gc.isenabled() and not _lanes._CAPTURING.locked()


@pytest.mark.parametrize("kind", [RuntimeError, torch.cuda.OutOfMemoryError])
def test_after_a_failure_generators_are_told_and_nothing_more_is_recorded(lane, kind):
    generator = torch.Generator()
    lane.record(lambda: torch.ones(()), [generator])

    def failing():
        Graph.made[-1].fails = True
        raise kind("not permitted")

    with pytest.raises(RuntimeError, match="previous error"):
        lane.record(failing, [generator])
    assert not lane.records
    assert gc.isenabled() and not _lanes._CAPTURING.locked()
    anchor, _, failed, last = Graph.made
    assert failed.ended and last.ended and not last.fails
    assert last.generators == [generator]
    assert last.pool != failed.pool == anchor.pool
    lane.record(lambda: torch.ones(()), [generator])
    *_, anchor, after = Graph.made
    assert anchor.generators == [] and after.generators == [generator]
    assert after.pool == anchor.pool > last.pool


def test_a_device_that_records_nothing_is_asked_once(lane, monkeypatch):
    def refuse(self, pool, capture_error_mode):
        raise RuntimeError("not supported")

    monkeypatch.setattr(Graph, "capture_begin", refuse)
    with pytest.raises(RuntimeError, match="not supported"):
        lane.record(lambda: torch.ones(()), [])
    assert not lane.records
    assert gc.isenabled() and not _lanes._CAPTURING.locked()


def test_other_errors_end_the_recording_and_go_on(lane):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lane.record(interrupted, [])
    assert Graph.made[-1].ended
    assert gc.isenabled() and not _lanes._CAPTURING.locked()


def test_collection_stays_off_where_it_was(lane):
    gc.disable()
    try:
        lane.record(lambda: torch.ones(()), [])
        assert not gc.isenabled()
    finally:
        gc.enable()
