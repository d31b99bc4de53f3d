"""Questions that commands for decisions ask, and what follows without an answer."""

import sys

import pytest
import typer

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import ForgetPerson
from service.cli import deciding


def test_a_question_without_an_answer_erases_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bool] = []

    def decide(*_requests: object, dry_run: bool, **_others: object) -> None:
        made.append(not dry_run)

    def no_answer(_question: str) -> str:
        raise typer.Abort

    monkeypatch.setattr(deciding, "decide", decide)
    monkeypatch.setattr(typer, "prompt", no_answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(RequestError, match="nothing was erased"):
        deciding.forget(ForgetPerson(identity=3, confirm=3), is_sure=False, reason="", json=False)
    assert made == [False]
