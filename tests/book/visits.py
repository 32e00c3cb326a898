"""What a browser saw of each page of the built book, in each view, visited once for all tests."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urldefrag

AXE = Path(__file__).with_name("axe") / "axe.min.js"
VIEWS = {"wide": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (375, 812, "light")}
# Nearly all of axe-core's time goes into the thousands of marks inside code and formulas, which look
# alike. Of each kind of mark in code one is kept; formulas keep their place and what a reader hears.
RUN = """async () => {
  const kinds = new Set();
  for (const one of document.querySelectorAll('.highlight span, .sig *:not(a), code *:not(a)')) {
    const kind = one.tagName + one.className;
    if (kinds.has(kind) && !one.id) one.replaceWith(...one.childNodes);
    kinds.add(kind);
  }
  for (const one of document.querySelectorAll('mjx-container > mjx-math')) one.replaceChildren();
  const options = {resultTypes: ['violations'], preload: false};
  return (await axe.run(document, options)).violations.map(v => ({id: v.id, impact: v.impact,
    help: v.help,
    where: v.nodes.slice(0, 4).map(n => n.target.join(' ') + ' | ' + n.html.slice(0, 140))}));
}"""
LISTEN = """window.refused = [];
document.addEventListener("securitypolicyviolation",
  event => window.refused.push(event.violatedDirective + " " + event.blockedURI));"""
# a new size or scheme reaches the page some time after it was asked for
DRAWN = """([width, scheme]) => new Promise(done => {
  const there = () => innerWidth === width && matchMedia(`(prefers-color-scheme: ${scheme})`).matches;
  const again = () => requestAnimationFrame(
    there() ? () => requestAnimationFrame(() => requestAnimationFrame(done)) : again);
  again(); })"""
STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
SEEN = """async () => {
  await window.MathJax?.startup?.promise;
  const text = document.querySelector('.bd-article p');
  return {over: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    bare: [...document.images].filter(i => !i.alt.trim()).map(i => i.src.slice(0, 60)),
    back: getComputedStyle(document.body).backgroundColor,
    text: text && getComputedStyle(text).color, refused: window.refused};
}"""


def violations(page) -> list[str]:
    """Return axe-core's serious and critical findings on an open page."""
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    found = [v for v in page.evaluate(RUN) if v["impact"] in ("serious", "critical")]
    return [f"{v['impact']}: {v['id']}: {v['help']}: {'; '.join(v['where'])}" for v in found]


@dataclass
class Visit:
    """One page in one view."""

    errors: list[str] = field(default_factory=list)  # of the console, and uncaught
    away: set[str] = field(default_factory=set)  # requests to another server
    missing: list[str] = field(default_factory=list)
    loaded: set[str] = field(default_factory=set)
    over: int = 0  # pixels wider than the screen
    bare: list[str] = field(default_factory=list)  # pictures without alternative text
    back: str = ""
    text: str = ""
    refused: list[str] = field(default_factory=list)  # by the page's own policy
    violations: list[str] = field(default_factory=list)


def visit(browser, address: str, name: str) -> dict[str, Visit]:
    """Open a page, wait until its formulas are set, and write down what there is to see in each
    view: wide, on a phone, and wide in the dark."""
    width, height, scheme = VIEWS["wide"]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.add_init_script(LISTEN)
    first = Visit()
    page.on("console", lambda m: first.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: first.errors.append(str(e)))
    here = (address, "data:", "blob:")
    page.on("request", lambda r: None if r.url.startswith(here) else first.away.add(r.url))
    page.on("response", lambda r: first.missing.append(r.url) if r.status >= 400 else None)
    page.on(
        "response",
        lambda r: first.loaded.add(urldefrag(r.url)[0].partition("?")[0]) if r.ok else None,
    )
    page.goto(address + name, wait_until="load")
    if name == "index.html":  # the front door leads on
        page.wait_for_url("**/chapters/index.html")
    seen = {"wide": first, "phone": Visit(), "dark": Visit()}
    look(page, first, "wide")
    page.set_viewport_size(dict(zip(("width", "height"), VIEWS["phone"][:2], strict=True)))
    look(page, seen["phone"], "phone")
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate(DRAWN, [width, scheme])
    first.violations = violations(page)
    page.add_style_tag(content=STILL)  # else colours are read while they change
    page.emulate_media(color_scheme=VIEWS["dark"][2])
    look(page, seen["dark"], "dark")
    seen["dark"].violations = violations(page)
    page.close()
    return seen


def look(page, seen: Visit, view: str) -> None:
    """Write down what the page shows as it is now, once it is drawn."""
    page.evaluate(DRAWN, [VIEWS[view][0], VIEWS[view][2]])
    for key, value in page.evaluate(SEEN).items():
        setattr(seen, key, value)
