"""Exit codes of a process, by the error that ends it."""

import pytest
import structlog

from immich_facesets.errors import RequestError, SetupError, TransientError
from immich_facesets.runtime.shutdown import ExitCode, run_reported


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, ExitCode.STOPPED),
        (KeyboardInterrupt(), ExitCode.STOPPED),
        (SetupError("x"), ExitCode.SETUP),
        (RequestError("x"), ExitCode.SETUP),
        (TransientError("x"), ExitCode.OUTAGE),
        (ZeroDivisionError("x"), ExitCode.BUG),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: BaseException | None, code: ExitCode) -> None:
    def run() -> int | None:
        if error is not None:
            raise error
        return None

    with structlog.testing.capture_logs():
        assert run_reported(run) == code
    assert run_reported(lambda: 7) == 7
