import io

from kubernaut.local.progress import PlainProgress, TerminalProgress


def test_a_log_without_a_terminal_shows_a_passing_line_every_fifteen_seconds() -> None:
    """Two lines a second for a minute become four lines."""
    out = io.StringIO()
    now = 0.0
    progress = PlainProgress(out, clock=lambda: now)
    for half_second in range(120):
        now = half_second / 2
        progress.show(f"{now:g} s")

    assert ["0 s", "15 s", "30 s", "45 s"] == out.getvalue().splitlines()


def test_a_log_without_a_terminal_holds_no_control_character() -> None:
    """CI logs stay readable."""
    out = io.StringIO()
    progress = PlainProgress(out)
    progress.show("half")
    progress.say("done")

    assert out.getvalue() == "half\ndone\n"


def test_a_terminal_keeps_what_was_said_and_writes_over_what_passes() -> None:
    """A line that stays replaces the passing one instead of following it on the same line."""
    out = io.StringIO()
    progress = TerminalProgress(out)
    progress.show("half")
    progress.say("done")

    assert out.getvalue() == "\r\x1b[Khalf\r\x1b[Kdone\n"
