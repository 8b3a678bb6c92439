import importlib
import sys
from typing import Any

import click

from kubernaut.cli.help_texts import PROGRAM, completes_for_kubectl, this_program

# Name -> (where the command is, what it does). Nothing is imported before its command is used, so that help is fast.
COMMANDS = {
    "up": ("kubernaut.cli.stack:up", "Start the whole system on this machine."),
    "status": ("kubernaut.cli.stack:status", "Show the processes of a running system and how they do."),
    "env": ("kubernaut.cli.stack:env", "Print shell lines that point clients to a running system."),
    "down": ("kubernaut.cli.stack:down", "End a running system."),
    "demo": ("kubernaut.cli.demo:demo", "Start the system and run the sample workflows, live."),
    "run": ("kubernaut.cli.workflows:run", "Apply a workflow and follow it to its end."),
    "lint": ("kubernaut.cli.lint:lint", "Tell every error of workflow files, each at its line."),
    "plan": ("kubernaut.cli.plan:plan", "Show how a workflow would run: order, longest path, limits, rollback."),
    "list": ("kubernaut.cli.workflows:list_", "List the runs."),
    "get": ("kubernaut.cli.workflows:get", "Show one run."),
    "watch": ("kubernaut.cli.workflows:watch", "Follow one run live."),
    "approve": ("kubernaut.cli.control:approve", "Approve the plan of a run that waits for it."),
    "reject": ("kubernaut.cli.control:reject", "Reject the plan of a run that waits for an approval."),
    "pause": ("kubernaut.cli.control:pause", "Let no new step start."),
    "resume": ("kubernaut.cli.control:resume", "Let a paused run go on."),
    "cancel": ("kubernaut.cli.control:cancel", "End a run early."),
    "skip": ("kubernaut.cli.control:skip", "Skip a step."),
    "retry": ("kubernaut.cli.control:retry", "Try a failed step again."),
    "rollback": ("kubernaut.cli.control:rollback", "Undo what a failed run did."),
    "rerun": ("kubernaut.cli.rerun:rerun", "Run a finished run again, from a step or from what was not done."),
    "freeze": ("kubernaut.cli.freeze:freeze", "Stop all new effects in the cluster at once."),
    "thaw": ("kubernaut.cli.freeze:thaw", "Let effects go on after a freeze."),
    "recover": ("kubernaut.recovery.command:recover", "Come back after the event log lost messages."),
    "explain": ("kubernaut.cli.explain:explain", "Tell why a step ran or what keeps it waiting, with the proof."),
    "trace": ("kubernaut.cli.trace:trace", "Make the trace of a run: who did what, when, for how long."),
    "events": ("kubernaut.cli.events:events", "Show the public events."),
    "dead-letters": ("kubernaut.cli.dead_letters:dead_letters", "Show messages that could not be handled; try again."),
    "conformance": ("kubernaut.cli.conformance:conformance_", "Try a program that reads the public events."),
    "replay": ("kubernaut.cli.replay:replay", "Replay a recorded run: step through it, decide it again, ask what if."),
    "audit": ("kubernaut.cli.audit:audit", "Ask the record of everything, prove it, copy it, make it again."),
    "doctor": ("kubernaut.cli.doctor:doctor", "Look at an installation: what is wrong, and how to mend it."),
    "bundle": ("kubernaut.cli.bundle:bundle", "Write everything about a run into one redacted file."),
}


class LazyGroup(click.Group):
    """Commands by name, each imported when it is used and not before."""

    def main(  # type: ignore[override]  # click's overloads only tell whether it returns
        self, args: Any = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Answer under the name that the program was called by; as a plugin of kubectl, too."""
        if completes_for_kubectl(sys.argv[0]):
            from kubernaut.cli.completion import completions_for_kubectl  # noqa: PLC0415 - for this one question

            click.echo(completions_for_kubectl(self, sys.argv[1:]))
            return None
        if prog_name in {None, PROGRAM}:
            prog_name = this_program()
        return super().main(args, prog_name, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kubernaut-workflow")
def main() -> None:
    """Event-driven remediation workflows for Kubernetes: run them, watch them, and the system that runs them."""


if __name__ == "__main__":
    main()
