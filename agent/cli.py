"""The agent's commands: `ask`, `chat`, `agent run`, `agent replay`, `eval`. Added to `anomalyst` by the entry point."""

import asyncio
import json as jsonlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

_PANEL = "Agent"
FAILED, MISUSED, UNREACHABLE = 1, 64, 75
_T = TypeVar("_T")

Model = Annotated[
    str | None, typer.Option(help="offline, ollama:NAME or PROVIDER:NAME (default: ANOMALYST_MODEL, else offline).")
]
Url = Annotated[str | None, typer.Option(help="The server's MCP address (default: ANOMALYST_URL, else a server is started).")]
Zone = Annotated[str | None, typer.Option("--time-zone", help="Zone that words such as yesterday are meant in (default: UTC).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON: calls, their results, and the answer.")]


def add_to(app: typer.Typer) -> Callable[[], Iterator[Any]]:
    """Add the agent's commands to the command line. Returns what `doctor` is to look at."""
    app.command("ask", rich_help_panel=_PANEL)(_ask)
    app.command("chat", rich_help_panel=_PANEL)(_chat)
    app.command("eval", rich_help_panel=_PANEL)(_eval)
    scripted = typer.Typer(help="Scripted runs of the agent, and kept explanations.", no_args_is_help=True)
    scripted.command("explain")(_explain)
    scripted.command("run")(_run)
    scripted.command("replay")(_replay)
    app.add_typer(scripted, name="agent", rich_help_panel=_PANEL)
    return _standing


def _standing() -> Iterator[Any]:
    from agent.standing import examine  # noqa: PLC0415 - `--help` need not wait for it

    return examine()


def _ask(
    question: Annotated[str, typer.Argument(help="What you want to know, in your words.")],
    *,
    json: AsJson = False,
    model: Model = None,
    url: Url = None,
    zone: Zone = None,
) -> None:
    """Ask one question and print the answer."""

    async def asked(conversation: Any) -> Any:
        return await conversation.ask(question)

    reply = _with_conversation(asked, model, url, zone)
    if json:
        calls = [{"tool": c.tool, "args": c.args, "result": c.payload, "refusal": c.refusal} for c in reply.calls]
        typer.echo(jsonlib.dumps({"answer": reply.text, "model": reply.model, "calls": calls}, ensure_ascii=False, indent=2))
    else:
        typer.echo(reply.text)


def _chat(
    *,
    history: Annotated[Path | None, typer.Option(help="Resume the conversation in this file, and save it there.")] = None,
    model: Model = None,
    url: Url = None,
    zone: Zone = None,
) -> None:
    """Talk with the agent in the terminal; an empty line ends it."""

    async def talked(conversation: Any) -> None:
        if history and history.exists():
            conversation.resume(history.read_bytes())
        conversation.person = _asked_here
        while said := (await asyncio.to_thread(typer.prompt, "you", default="", show_default=False)).strip():
            typer.echo(f"\n{(await conversation.ask(said)).text}\n")
            if history:
                history.write_bytes(conversation.saved())

    _with_conversation(talked, model, url, zone)


async def _asked_here(call: Any) -> Any:
    from agent.conversation import Ruling  # noqa: PLC0415 - `--help` need not wait for it

    typer.echo(f"The agent wants to call {call.tool_name} {call.args_as_json_str()}; the server checks what a person approved.")
    return Ruling(approved=await asyncio.to_thread(typer.confirm, "Let it?", default=False))


def _explain(
    anomaly: Annotated[str, typer.Argument(help="The anomaly's id.")],
    *,
    audience: Annotated[str, typer.Option("--for", help="operator or store-manager.")] = "operator",
    json: AsJson = False,
    model: Model = None,
    url: Url = None,
    zone: Zone = None,
) -> None:
    """Explain an anomaly for a reader; what was written is kept and reused until what it rests on changes."""
    from agent.explanations import Audience  # noqa: PLC0415 - `--help` need not wait for it
    from agent.explanations.asking import explained  # noqa: PLC0415 - as above
    from agent.looking import NothingThere  # noqa: PLC0415 - as above

    try:
        done = _with_conversation(lambda talk: explained(talk, anomaly, Audience(audience)), model, url, zone)
    except NothingThere as error:
        _complain(str(error))
        raise typer.Exit(MISUSED) from error
    if json:
        typer.echo(jsonlib.dumps({**done.kept.model_dump(), "reused": done.reused}, ensure_ascii=False, indent=2))
    else:
        typer.echo(done.text)


def _run(
    script: Annotated[Path, typer.Argument(help="A YAML file with a title and steps; or morning-review, weekly-tuning.")],
    *,
    trace: Annotated[Path | None, typer.Option(help="Save the trace here, for `agent replay`.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report here: .md or .html.")] = None,
    model: Model = None,
    url: Url = None,
    zone: Zone = None,
) -> None:
    """Run a script of questions; exit code 1 if something that it expects does not hold."""
    from agent import reports, scripts  # noqa: PLC0415 - `--help` need not wait for it

    read = _read(lambda: scripts.read_script(script))
    done = _with_conversation(lambda conversation: scripts.run_script(read, conversation), model, url, zone)
    if trace:
        trace.write_text(done.model_dump_json(indent=1), "utf-8")
    if report:
        report.write_text(reports.page(done) if report.suffix == ".html" else reports.markdown(done), "utf-8")
    if not report:
        typer.echo(reports.markdown(done))
    if not done.passed:
        raise typer.Exit(FAILED)


def _replay(
    trace: Annotated[Path, typer.Argument(help="A trace that `agent run --trace` saved.")],
    *,
    model: Model = None,
    url: Url = None,
    zone: Zone = None,
) -> None:
    """Ask a trace's questions again; exit code 1 if other calls are made."""
    from agent import scripts  # noqa: PLC0415 - `--help` need not wait for it

    read = _read(lambda: scripts.read_trace(trace))
    differences = _with_conversation(lambda conversation: scripts.replay(read, conversation), model, url, zone)
    typer.echo("\n".join(differences) or f"{len(read.steps)} steps led to the same calls.")
    if differences:
        raise typer.Exit(FAILED)


def _eval(
    cases: Annotated[Path | None, typer.Argument(help="A JSONL file of cases, demo or acceptance (default: demo).")] = None,
    *,
    writes: Annotated[bool, typer.Option("--writes", help="Also cases that store verdicts and draft suggestions.")] = False,
    least: Annotated[float, typer.Option(min=0, max=1, help="Share of cases that must pass.")] = 0.9,
    json: AsJson = False,
    model: Model = None,
    url: Url = None,
    zone: Zone = None,
) -> None:
    """Evaluate a model on cases; exit code 1 if fewer pass than asked for."""
    from agent import evaluation, first_hand  # noqa: PLC0415 - `--help` need not wait for it
    from agent.looking import NothingThere  # noqa: PLC0415 - as above

    chosen = [case for case in _read(lambda: evaluation.read_cases(cases or Path("demo"))) if writes or not case.writes]
    left_out: list[str] = []

    async def measured(conversation: Any) -> list[Any]:
        outcomes: list[Any] = []
        seen: evaluation.State = {}
        for case in chosen:
            try:
                outcomes.append(await evaluation.evaluate(case, conversation, seen))
            except NothingThere as error:
                left_out.append(f"{case.id}: {error}")
        return outcomes

    outcomes = _with_conversation(measured, model, url, zone)
    failed = [each for each in outcomes if not each.passed]
    if json:
        shown = [{"id": each.case.id, "passed": each.passed, "why": each.why} for each in outcomes]
        typer.echo(jsonlib.dumps({"cases": shown, "left_out": left_out}, indent=2))
    else:
        named = model or "as configured"
        typer.echo(evaluation.table_of(outcomes, named))
        typer.echo(first_hand.table_of_own([each.own for each in outcomes if each.own], named))
        typer.echo("\n".join(f"- {each.case.id}: {'; '.join(each.why) or each.trouble}" for each in failed))
        typer.echo("\n".join(f"- left out: {each}" for each in left_out))
    if not outcomes or len(failed) > (1 - least) * len(outcomes):
        raise typer.Exit(FAILED)


def _read(what: Callable[[], _T]) -> _T:
    from agent.scripts import ScriptError  # noqa: PLC0415 - `--help` need not wait for it

    try:
        return what()
    except ScriptError as error:
        _complain(str(error))
        raise typer.Exit(MISUSED) from error


def _with_conversation(work: Callable[[Any], Awaitable[_T]], model: str | None, url: str | None, zone: str | None) -> _T:
    from agent.connecting import ServerUnreachable  # noqa: PLC0415 - `--help` need not wait for it
    from agent.models import UnknownModel  # noqa: PLC0415 - as above
    from agent.sessions import session  # noqa: PLC0415 - as above
    from agent.settings import AgentSettings  # noqa: PLC0415 - as above

    async def main() -> _T:
        stated = {name: value for name, value in {"model": model, "url": url, "time_zone": zone}.items() if value}
        async with session(AgentSettings(**stated)) as conversation:  # type: ignore[arg-type]
            try:
                return await work(conversation)
            except RuntimeError as error:  # with a token, the client connects when it is first asked; it has no class for it
                if not str(error).startswith("Client failed to connect"):
                    raise
                raise ServerUnreachable(f"{error}. Start `anomalyst serve`, or mend ANOMALYST_URL or --url.") from error

    try:
        return asyncio.run(main())
    except (UnknownModel, ValueError) as error:
        _complain(str(error))
        raise typer.Exit(MISUSED) from error
    except ServerUnreachable as error:
        _complain(str(error))
        raise typer.Exit(UNREACHABLE) from error


def _complain(words: str) -> None:
    typer.echo(f"error: {words}", err=True)
