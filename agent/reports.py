"""A script's trace as a report, in Markdown and in HTML."""

import html
import re

from agent.scripts import Trace


def markdown(trace: Trace) -> str:
    """The report in Markdown."""
    parts = [
        f"# {trace.title}",
        f"{trace.started.isoformat(timespec='minutes')}: {'all held' if trace.passed else 'something did not hold'}",
    ]
    for step in trace.steps:
        parts += [f"## {step.ask}", step.answer]
        parts += [f"- **did not hold:** {each}" for each in step.failures]
        parts.append(f"_Calls: {', '.join(call.tool for call in step.calls) or 'none'}; answered by {step.model}._")
    return "\n\n".join(parts) + "\n"


def page(trace: Trace) -> str:
    """The report as one HTML page that loads nothing; all of its text is escaped."""
    style = (
        "body{font:16px sans-serif;max-width:60rem;margin:2rem auto}table{border-collapse:collapse}"
        "td,th{border:1px solid #999;padding:.2rem .5rem}"
    )
    body = "\n".join(_block(block) for block in re.split(r"\n{2,}", markdown(trace).strip()))
    title = html.escape(trace.title)
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return f'<!doctype html>\n<html lang="en">{head}\n<body>\n{body}\n</body></html>\n'


def _block(block: str) -> str:
    lines = block.split("\n")
    if re.fullmatch(r"\|(?:---\|)+", lines[1] if len(lines) > 1 else ""):
        rows = [_row(line, "th" if place == 0 else "td") for place, line in enumerate(lines) if place != 1]
        return f"<table>{''.join(rows)}</table>"
    heading = re.match(r"(#{1,2}) (.*)", block)
    if heading:
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>"
    return f"<p>{'<br>'.join(_inline(line) for line in lines)}</p>"


def _row(line: str, cell: str) -> str:
    return (
        "<tr>" + "".join(f"<{cell}>{_inline(each.strip())}</{cell}>" for each in line.strip().strip("|").split("|")) + "</tr>"
    )


def _inline(text: str) -> str:
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", re.sub(r"^_(.+)_$", r"<em>\1</em>", html.escape(text)))
