"""Ctrl+C waits for a place where work can stop; who presses it twice does not wait."""

from __future__ import annotations

import signal

import pytest

from MedSegDLLib.interruption import Interruption

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_next_check(number):
    with Interruption() as interruption:
        assert interruption.check() is False
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_strikes_at_once(number):
    with Interruption():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_afterwards_signals_do_what_they_did_before():
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(KeyError), Interruption():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        raise KeyError
    assert [signal.getsignal(number) for number in SIGNALS] == before
