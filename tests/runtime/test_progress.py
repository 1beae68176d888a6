"""Progress that is said, and work done ahead in threads."""

import contextlib
import sys
import threading
from types import SimpleNamespace

import pytest
import threadpoolctl
import torch
from hypothesis import given
from hypothesis import strategies as st

from ecg.runtime import progress as module
from ecg.runtime.parallel import map_ahead, map_in_processes
from ecg.runtime.progress import progress, say, silence
from ecg.runtime.threads import limit_blas_threads, one_torch_thread


def said(monkeypatch, capsys, times, total, **options):
    """What is said of recordings that are finished at these times, s."""
    clock = iter([0.0, *times, times[-1] if times else 5.0])
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(progress(iter(range(len(times))), total, "Measuring", **options)) == list(range(len(times)))
    return capsys.readouterr().err.splitlines()


def test_in_a_log_there_is_a_line_every_half_minute_and_one_at_the_end(monkeypatch, capsys):
    assert said(monkeypatch, capsys, [10, 20, 29.9, 30, 59.9, 60, 100], 7) == [
        "Measuring:  43% 3/7 [00:30<00:40, 10.00s/ recordings]",
        "Measuring:  71% 5/7 [01:00<00:24, 12.00s/ recordings]",
        "Measuring:  86% 6/7 [01:40<00:16, 16.67s/ recordings]",
        "Measuring: 100% 7/7 [01:40<00:00, 14.29s/ recordings]",
    ]


def test_of_an_unknown_number_and_of_nothing(monkeypatch, capsys):
    assert said(monkeypatch, capsys, [31, 32], None, unit="epoch") == [
        "Measuring: 0 epochs [00:31, ? epochs/s]",
        "Measuring: 100% 2/2 [00:32<00:00, 16.00s/ epochs]",
    ]
    assert said(monkeypatch, capsys, [], 0) == ["Measuring: 0 recordings [00:05, ? recordings/s]"]


def test_on_a_terminal_it_is_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress("abc", 3, "Measuring")) == ["a", "b", "c"]
    last = capsys.readouterr().err.split("\r")[-1]
    assert last.startswith("Measuring: 100%|") and "3/3 [" in last


def test_what_another_process_says_is_not_said_twice(capsys):
    say("one")
    with silence():
        say("two")
    say("three")
    assert capsys.readouterr() == ("", "one\nthree\n")


@given(st.integers(0, 12), st.integers(1, 3), st.integers(1, 5))
def test_work_in_threads_keeps_its_order_and_draws_no_more_than_is_waited_for(n_items, workers, ahead):
    drawn, taken = [], []

    def items():
        for k in range(n_items):
            drawn.append(k)
            assert len(drawn) - len(taken) <= ahead
            yield k

    for result in map_ahead(lambda k: 2 * k, items(), workers=workers, ahead=ahead):
        taken.append(result)
        assert len(taken) <= len(drawn)
    assert taken == [2 * k for k in range(n_items)]


def test_work_is_done_in_so_many_threads_at_once():
    together = threading.Barrier(3, timeout=30)
    assert list(map_ahead(lambda k: together.wait() in range(3), range(6), workers=3, ahead=6)) == [True] * 6


def test_an_error_comes_where_its_result_would_have_come():
    results = map_ahead(lambda k: 1 / (k - 2), range(5), workers=2, ahead=3)
    assert [next(results), next(results)] == [-0.5, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize("workers", [1, 2])
def test_work_in_processes_comes_with_its_item_in_order(workers):
    found = list(map_in_processes(lambda k: -k, iter(range(30)), workers=workers, ahead=7))
    assert found == [(k, -k) for k in range(30)]


def test_torch_has_one_thread_for_the_block_and_as_many_as_before_after_it():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with contextlib.suppress(ZeroDivisionError), one_torch_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_linear_algebra_of_numpy_has_one_thread():
    limit_blas_threads()
    found = [each for each in threadpoolctl.threadpool_info() if each["internal_api"] == "openblas"]
    assert found and {each["num_threads"] for each in found} == {1}
