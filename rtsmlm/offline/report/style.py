"""The look of the report and its frame: heading, contents, sections; light, dark and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from rtsmlm.errors import printable

STYLE = """
:root{--ink:#1d2430;--soft:#5c6675;--ground:#fff;--panel:#f6f7f9;--line:#dfe3e8;--a:#1f62b5;
--b:#c2571a;--c:#2b8a57;--d:#8a4fb0;--aim:#8b8f98;--good:#17703a;--good-bg:#e5f4ea;--bad:#a4161a;
--bad-bg:#fdeaea;--warn:#805400;--warn-bg:#fdf3dc}
@media(prefers-color-scheme:dark){:root{--ink:#e3e6eb;--soft:#9aa4b2;--ground:#14171c;
--panel:#1c2027;--line:#31373f;--a:#79b2f2;--b:#f0a06a;--c:#70cf9b;--d:#c79be6;--aim:#8d949e;
--good:#7fd89d;--good-bg:#173022;--bad:#ff9a9a;--bad-bg:#3a1a1c;--warn:#eac06d;--warn-bg:#352a12}}
*{box-sizing:border-box}html{color-scheme:light dark;scroll-behavior:smooth}
body{font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);
background:var(--ground);margin:0 auto;max-width:1180px;padding:2rem 1.5rem 4rem;
font-variant-numeric:tabular-nums}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.6rem 0 .6rem;padding-top:.7rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .3rem}p{margin:.4rem 0;max-width:75ch}a{color:var(--a)}
.about{color:var(--soft);margin:0 0 .8rem}
.verdict{display:inline-block;padding:.3rem .8rem;border-radius:.5rem;margin:.4rem 0;max-width:none}
.good{color:var(--good);background:var(--good-bg)}.bad{color:var(--bad);background:var(--bad-bg)}
.note{color:var(--warn);background:var(--warn-bg);padding:.35rem .8rem;border-radius:.4rem;
margin:.3rem 0;max-width:none}
.hint{color:var(--soft);font-size:.92rem}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0;font-size:.92rem}
nav a{text-decoration:none}nav a:hover{text-decoration:underline}
.tiles{display:grid;gap:.7rem;margin:1rem 0;
grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr))}
.tile{background:var(--panel);border-radius:.6rem;padding:.7rem .9rem}
.tile b{display:block;font-size:1.35rem;line-height:1.2;font-weight:650}
.tile span{color:var(--soft);font-size:.85rem}
.picture{margin:1rem 0}.picture img{display:block;width:100%;max-width:900px;border-radius:.5rem;
background:#000;image-rendering:auto}
figure{margin:0}figcaption{font-size:.9rem;color:var(--soft);margin:.3rem 0}
.charts{display:grid;gap:1.4rem 1.6rem;
grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr))}
.chart svg{width:100%;height:auto;display:block;max-width:700px}
.chart figcaption{color:var(--ink);font-weight:600}
.key{font-weight:400;color:var(--soft);margin-left:1rem;white-space:nowrap}
.key i{display:inline-block;width:.9em;height:.2em;vertical-align:middle;margin-right:.35em;
background:var(--a)}
.share svg{width:100%;height:1.3rem;border-radius:.3rem;display:block}
.share .key{margin:0 1.2rem 0 0}.share .key i{height:.75em;border-radius:.15em}
.s0{stroke:var(--a)}.s1{stroke:var(--b)}.s2{stroke:var(--c)}.s3{stroke:var(--d)}
.key i.s1{background:var(--b)}.key i.s2{background:var(--c)}.key i.s3{background:var(--d)}
.key i.aim{background:var(--aim)}
polyline{fill:none;stroke-width:1.7;stroke-linejoin:round}
polyline.aim,line.aim{stroke:var(--aim);stroke-width:1.4;stroke-dasharray:5 4}
rect.s0{fill:var(--a)}rect.s1{fill:var(--b)}rect.s2{fill:var(--c)}rect.s3{fill:var(--d)}
.chart rect{stroke:none;opacity:.85}.share rect{stroke:none}
.grid{stroke:var(--line);stroke-width:1}.axis,.tick{stroke:var(--soft);stroke-width:1}
svg text{font:11.5px system-ui,sans-serif;fill:var(--soft)}svg text.label{font-size:12px}
svg text.mark{fill:var(--ink);font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.94rem}
td,th{padding:.28rem 1.4rem .28rem 0;text-align:right;vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:.86rem}tr{border-bottom:1px solid var(--line)}
td:first-child,th:first-child{text-align:left}
.text td,.text th{text-align:left}.met{color:var(--good)}.missed{color:var(--bad)}
.met,.missed{white-space:nowrap}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--a)}
pre{background:var(--panel);border-radius:.5rem;padding:1rem;font:.8rem/1.45 ui-monospace,Consolas,
monospace;white-space:pre-wrap;overflow-wrap:anywhere}
ol.sources{padding-left:1.6rem}ol.sources li{margin:.25rem 0;max-width:80ch}
@media print{:root{--ink:#000;--soft:#444;--ground:#fff;--panel:#fff;--line:#bbb;--a:#1f62b5;
--b:#c2571a;--c:#2b8a57;--d:#8a4fb0;--good:#17703a;--good-bg:#fff;--bad:#a4161a;--bad-bg:#fff;
--warn:#805400;--warn-bg:#fff}html{color-scheme:light}
body{max-width:none;padding:0;font-size:10.5pt}nav{display:none}.tile{border:1px solid var(--line)}
.charts{grid-template-columns:1fr 1fr}.picture img{max-width:130mm;print-color-adjust:exact;
-webkit-print-color-adjust:exact}figure,tr,.tile,.note{break-inside:avoid}h2,h3{break-after:avoid}
rect,.key i{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;height:auto}a{color:inherit;
text-decoration:none}pre{border:1px solid var(--line);padding:.5rem}}
"""


def whole_page(
    title: str, about: str, verdict: str, sections: Sequence[tuple[str, str, str]], *, good: bool,
    head: Iterable[str],
) -> str:  # fmt: skip
    """Return the page.

    Parameters
    ----------
    title, about, verdict
        Heading, the line below it, and the one sentence that matters; plain text.
    sections
        Anchor, heading (plain text) and content (HTML) of each; those without content are left
        out.
    good
        Whether the verdict is good news.
    head
        What stands before the first section, as HTML.
    """
    shown = [(anchor, heading, body) for anchor, heading, body in sections if body]
    contents = "".join(f"<a href='#{anchor}'>{escape(heading)}</a>" for anchor, heading, _ in shown)
    blocks = (
        f"<section id='{anchor}'><h2>{escape(heading)}</h2>{body}</section>"
        for anchor, heading, body in shown
    )
    lines = (
        "<!doctype html>",
        f"<html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{STYLE}</style></head><body><header><h1>{escape(title)}</h1>",
        f"<p class='about'>{escape(about)}</p>" if about else "",
        f"<p class='verdict {'good' if good else 'bad'}'>{escape(verdict)}</p>",
        "</header>",
        *head,
        f"<nav>{contents}</nav>",
        *blocks,
        "</body></html>",
        "",
    )
    return printable("\n".join(lines), keep="\n")


def tile(value: str, label: str) -> str:
    """Return a figure that is seen first, with what it means; both plain text."""
    return f"<div class='tile'><b>{escape(value)}</b><span>{escape(label)}</span></div>"


def hint(text: str) -> str:
    """Return a sentence of explanation, plain text."""
    return f"<p class='hint'>{escape(text)}</p>"


def wide(table: str, style: str = "") -> str:
    """Return a table that scrolls by itself where the screen is narrow."""
    return f"<div class='wide {style}'>{table}</div>"
