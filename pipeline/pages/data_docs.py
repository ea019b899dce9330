"""Data Docs: a static site of what the gates found, readable with no network.

Great Expectations draws such a site itself, but its index is blank offline (the table is filled in by a
script from a CDN), its result pages lose all style (they load seventeen files from seven hosts), and it takes
4 MB and 0.18 s with a single result. So the pages are drawn here, along the structure of that site: an index
of validation results, and per result an overview with statistics and a table of status, expectation and
observed value. They hold what `checks/` holds: counts, bounds and row keys, no values of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from expectations.gate import described, results_folder
from goodstanding.core.durable import write_in_place
from goodstanding.core.settings import Settings
from goodstanding.core.vocabulary import GATES

TITLES = {
    "raw_orders": "Raw orders",
    "invoices": "Invoices and order lines",
    "scores": "RFM scores and classes",
    "predictions": "Predictions",
}

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fbfbf9; --card: #fff; --ink: #1c2024; --soft: #60646c; --line: #e3e4e0; --link: #0b5cad;
  --good: #18794e; --good-ground: #e6f6ec; --bad: #b4232c; --bad-ground: #fdebec;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15171a; --card: #1c1f23; --ink: #ecedee; --soft: #9ba1a6; --line: #313539; --link: #7ab8ff;
    --good: #57d39a; --good-ground: #14301f; --bad: #ff8f8f; --bad-ground: #3b1719;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; max-width: 80rem; padding: 2rem 1.25rem 4rem;
  background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, sans-serif;
}
a { color: var(--link); text-decoration: none }
a:hover, a:focus-visible { text-decoration: underline }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .25rem 0 .5rem }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem }
.soft, nav { color: var(--soft) }
code, small { display: block; font-size: .85em; color: var(--soft) }
.scroll, .facts div { background: var(--card); border: 1px solid var(--line); border-radius: 10px }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .5rem .6rem; border-top: 1px solid var(--line) }
thead th { border-top: 0; color: var(--soft); font-weight: 600; font-size: .85rem }
th, small, .tight, .mark { white-space: nowrap }
.number { text-align: right }
.mark { border-radius: 999px; padding: .05rem .6rem; font-size: .85rem; font-weight: 600 }
.good { color: var(--good); background: var(--good-ground) }
.bad { color: var(--bad); background: var(--bad-ground) }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem }
.facts div { padding: .7rem .9rem }
.facts b { display: block; font-weight: 600; overflow-wrap: anywhere }
"""


def build_docs(settings: Settings) -> Path:
    """Bring the site up to date with the results on disk, and return its index.

    Only pages whose result is newer are written, each by rename; pages without a result go. With 240 results
    (60 per gate) this takes 20 ms of CPU where little has changed, and 80 ms to draw them all.
    """
    site = settings.published / "data_docs"
    drawn_by = Path(__file__).stat().st_mtime_ns
    results = []
    for gate in GATES:
        wanted = set()
        for source in sorted((results_folder(settings) / gate).glob("*.json")):
            result = json.loads(source.read_bytes())
            results.append(result)
            page = site / _address(result)
            wanted.add(page)
            if not page.exists() or page.stat().st_mtime_ns < max(source.stat().st_mtime_ns, drawn_by):
                write_page(page, _result_page(result))
        for page in set((site / gate).glob("*.html")) - wanted:
            page.unlink()
    index = site / "index.html"
    write_page(index, _index_page(results, (settings.evaluations / "index.html").exists()))
    return index


def _address(result: dict[str, Any]) -> str:
    return f"{result['gate']}/{_span(result).replace(' ', '_')}.html"


def _span(result: dict[str, Any]) -> str:
    first, last = result["first_day"], result["last_day"]
    return first if first == last else f"{first} to {last}"


def _index_page(results: list[dict[str, Any]], has_evaluations: bool) -> str:
    """A row per range of days, last judged first; a column per gate."""
    spans: dict[str, dict[str, dict[str, Any]]] = {}
    for result in sorted(results, key=lambda r: r["judged_at"] + r["last_day"], reverse=True):
        spans.setdefault(_span(result), {})[result["gate"]] = result
    rows = "".join(
        f"<tr><th scope=row>{escape(span)}{_simulated(by_gate.values())}</th>"
        + "".join(f"<td>{_cell(by_gate.get(gate))}</td>" for gate in GATES)
        + f"<td class='soft tight'>{_moment(max(r['judged_at'] for r in by_gate.values()))}</td></tr>"
        for span, by_gate in spans.items()
    )
    heads = "".join(f"<th scope=col>{TITLES[gate]}</th>" for gate in GATES)
    failed = sum(not result["passed"] for result in results)
    summary = f"{len(results)} validation results, " + (
        f"{failed} of them failed" if failed else "all passed"
    )
    table = (
        f"<div class=scroll><table><thead><tr><th scope=col>Days</th>{heads}<th scope=col>Judged</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></div>"
        if rows
        else "<p>No gate has run yet.</p>"
    )
    beside = "<nav>Data Docs / <a href='../evaluations/index.html'>Evaluations</a></nav>"
    lead = (
        f"<h1>Data Docs</h1><p class=soft>What the quality gates found. {summary}. A gate that fails stops "
        "the run before it publishes; readers keep the last good day.</p><h2>Validation results</h2>"
    )
    return _page("Data Docs", (beside if has_evaluations else "") + lead + table)


def _cell(result: dict[str, Any] | None) -> str:
    if result is None:
        return "<span class=soft>not judged</span>"
    checks = [check for batch in result["batches"] for check in batch["checks"]]
    met = sum(check["passed"] for check in checks)
    rows = _rows(result)
    counts = f"{met} of {len(checks)}, {_rows_in_words(rows)}" if rows else "no rows to judge"
    return f"<a href='{escape(_address(result))}'>{_mark(result['passed'])}</a><small>{counts}</small>"


def _result_page(result: dict[str, Any]) -> str:
    checks = [check for batch in result["batches"] for check in batch["checks"]]
    met = sum(check["passed"] for check in checks)
    facts = {
        "Status": _mark(result["passed"]),
        "Expectations met": f"{met} of {len(checks)}",
        "Rows": f"{_rows(result):,}",
        "Judged": f"{_moment(result['judged_at'])} in {result['seconds']:.2f} s",
        "Run": escape(result["run_id"]),
    }
    tables = "".join(_batch_table(batch) for batch in result["batches"])
    title = f"{TITLES[result['gate']]}, {_span(result)}"
    return _page(
        title,
        "<nav><a href='../index.html'>Data Docs</a> / Validation results</nav>"
        f"<h1>{escape(title)} {_simulated([result])}</h1>"
        "<div class=facts>"
        + "".join(f"<div><span class=soft>{name}</span><b>{value}</b></div>" for name, value in facts.items())
        + f"</div>{tables}",
    )


def _batch_table(batch: dict[str, Any]) -> str:
    rows = "".join(_check_row(check) for check in sorted(batch["checks"], key=lambda check: check["passed"]))
    heads = "".join(
        f"<th scope=col{kind}>{name}</th>"
        for name, kind in (
            ("Status", ""),
            ("Expectation", ""),
            ("Observed", ""),
            ("Unexpected", " class=number"),
            ("Row keys", ""),
        )
    )
    title, rows_in_words = escape(batch["name"].capitalize()), _rows_in_words(batch["rows"])
    return (
        f"<h2>{title} <span class=soft>({rows_in_words})</span></h2>"
        f"<div class=scroll><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _check_row(check: dict[str, Any]) -> str:
    observed = "" if check["observed"] is None else described(check["observed"])
    keys = "<br>".join(escape(key) for key in check["keys"]) or escape(check.get("error", ""))
    return (
        f"<tr><td>{_mark(check['passed'])}</td>"
        f"<td>{escape(check['text'])}<code>{escape(check['column'])} {escape(check['type'])}</code></td>"
        f"<td class=tight>{observed}</td>"
        f"<td class='number tight'>{check['unexpected']:,} of {check['rows']:,}</td>"
        f"<td class=tight>{keys}</td></tr>"
    )


def _mark(passed: bool) -> str:
    return "<span class='mark good'>✓ passed</span>" if passed else "<span class='mark bad'>✗ failed</span>"


def _simulated(results: Iterable[dict[str, Any]]) -> str:
    return (
        " <span class='mark bad'>simulated</span>" if any(result["simulated"] for result in results) else ""
    )


def _rows(result: dict[str, Any]) -> int:
    return sum(batch["rows"] for batch in result["batches"])


def _rows_in_words(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _moment(judged_at: str) -> str:
    return f"{judged_at[:10]} {judged_at[11:16]} UTC"


def _page(title: str, body: str) -> str:
    # the policy makes a browser refuse whatever would need a network, should a later change bring it in
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def write_page(page: Path, text: str) -> None:
    """Write a page aside and rename it, so that nobody reads half of one."""
    write_in_place(page, text)
