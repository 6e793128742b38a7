"""Runs the sessions and bounds them.

A test that hangs, or that kills its process, is a broken promise; a new session goes on with the rest.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from hitrate.testing.subject import Subject, UnusableError
from hitrate.testing.verdicts import Message, Trial, TrialOutcome, Verdict

STARTING = 120.0  # seconds for a session to import the cache and collect the tests


def try_out(
    subject: Subject, *, seconds: float = 60.0, seen: Callable[[TrialOutcome], None] | None = None
) -> list[TrialOutcome]:
    """Try every promise of the contract on the subject, in processes of their own.

    Args:
        subject: the cache to try.
        seconds: how long each test may take.
        seen: called with each outcome as it comes.

    Raises:
        UnusableError: no cache can be made of the subject.
    """
    outcomes: list[TrialOutcome] = []

    def note(outcome: TrialOutcome) -> None:
        outcomes.append(outcome)
        if seen is not None:
            seen(outcome)

    with TemporaryDirectory(prefix="hitrate-testing-", ignore_cleanup_errors=True) as directory:
        finished = False
        while not finished:
            tried = len(outcomes)
            finished = _session(subject, outcomes, Path(directory), seconds, note)
            if not finished and len(outcomes) == tried:
                raise UnusableError(f"the tests of {subject.target} cannot be started")
    return outcomes


def _session(
    subject: Subject,
    outcomes: list[TrialOutcome],
    directory: Path,
    seconds: float,
    note: Callable[[TrialOutcome], None],
) -> bool:
    """Run one session over what is not yet tried; return whether it came to its end."""
    from hitrate.testing import session

    # A fresh interpreter, so that no thread or lock of this one is in the way of what is tried.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    done = frozenset(outcome.trial.test for outcome in outcomes)
    process = context.Process(target=session.run, args=(subject, done, directory, there), daemon=True)
    process.start()
    there.close()
    try:
        return _listen(here, seconds, note)
    finally:
        _end(process)
        here.close()


def _listen(session: Connection[None, Message], seconds: float, note: Callable[[TrialOutcome], None]) -> bool:
    trial: Trial | None = None
    while True:
        message = _next(session, STARTING if trial is None else seconds)
        match message:
            case UnusableError():
                raise message
            case Trial():
                trial = message
            case TrialOutcome():
                note(message)
                trial = None
            case None:
                return True
            case str(silence):
                if trial is not None:
                    note(TrialOutcome(trial, Verdict.BROKEN, silence))
                return False


def _next(session: Connection[None, Message], seconds: float) -> Message | str:
    """Return the next message, or a sentence on why there is none."""
    try:
        return session.recv() if session.poll(seconds) else f"it did not end in {seconds:g} seconds"
    except EOFError:
        return "the process died"


def _end(process: BaseProcess) -> None:
    """Wait for a process that is done, end one that is not, and whatever it has forked."""
    process.join(1)
    if process.pid is not None and process.is_alive():
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not become the leader of its group yet
            process.kill()
    process.join()
