"""What a browser saw of each page of the built book, in each view, visited once for all tests and by
one of their workers."""

import json
import re
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urldefrag

AXE = Path(__file__).with_name("axe") / "axe.min.js"
VIEWS = {"wide": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (375, 812, "light")}
# Nearly all of axe-core's time goes into the thousands of marks inside code and formulas, which look
# alike. Of each kind of mark in code one is kept; formulas keep their place and what a reader hears.
# Contrast is computed for one of each kind of text: the same elements around it, of the same classes,
# with the same computed colours, sizes and weights. All other rules see every element.
RUN = """async () => {
  const kinds = new Set();
  for (const one of document.querySelectorAll('.highlight span, .sig *:not(a), code *:not(a)')) {
    const kind = one.tagName + one.className;
    if (kinds.has(kind) && !one.id) one.replaceWith(...one.childNodes);
    kinds.add(kind);
  }
  for (const one of document.querySelectorAll('mjx-container > mjx-math')) one.replaceChildren();
  const numbers = new Map(), seen = new Set();
  const number = text => numbers.get(text) ?? (numbers.set(text, numbers.size), numbers.size - 1);
  const says = one => ['value', 'alt', 'placeholder'].some(key => key in one)
    || [...one.childNodes].some(part => part.nodeType === Node.TEXT_NODE && part.data.trim());
  const walk = (one, above) => {
    const style = getComputedStyle(one), kind = number([above, one.tagName, one.className, one.open,
      one.disabled, one.getAttribute('role'), one.getAttribute('style'), style.display,
      style.visibility, style.position, style.color, style.backgroundColor, style.backgroundImage,
      style.opacity, style.fontSize, style.fontWeight, style.textShadow].join('|'));
    one.toggleAttribute('data-first', says(one) && !seen.has(kind));
    if (says(one)) seen.add(kind);
    for (const below of one.children) walk(below, kind);
  };
  walk(document.documentElement, '');
  axe.configure({rules: [{id: 'color-contrast', selector: '[data-first]'}]});
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
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    found = [v for v in page.evaluate(RUN) if v["impact"] in ("serious", "critical")]
    return [f"{v['impact']}: {v['id']}: {v['help']}: {'; '.join(v['where'])}" for v in found]


@dataclass
class Visit:
    """One page in one view."""

    errors: list[str] = field(default_factory=list)  # of the console, and uncaught
    away: list[str] = field(default_factory=list)  # requests to another server
    missing: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)  # of the book, relative to it
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
    page.on("request", lambda r: None if r.url.startswith(here) else first.away.append(r.url))
    page.on("response", lambda r: first.missing.append(r.url) if r.status >= 400 else None)
    page.on("response", lambda r: first.loaded.append(relative(r.url, address)) if r.ok else None)
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


def relative(url: str, address: str) -> str:
    """Return an address of the book without the server, without a query and a place in it."""
    return urldefrag(url)[0].partition("?")[0].removeprefix(address)


def together(folder: Path, name: str, look_at, wait: float = 240.0) -> dict[str, Visit]:
    """Return the visit of a page from `folder`, which all workers share: made here by `look_at(name)`
    where nobody makes it yet, else waited for. Raises `TimeoutError` where it does not come."""
    stem, end = re.sub(r"\W+", "-", name), time.monotonic() + wait
    file, taken = folder / f"{stem}.json", folder / f"{stem}.taken"
    while not file.is_file():
        try:
            taken.touch(exist_ok=False)
        except FileExistsError:
            if time.monotonic() > end:
                raise TimeoutError(f"{name}: another worker visits it for {wait:.0f} s") from None
            time.sleep(0.1)
            continue
        try:
            seen = {view: asdict(one) for view, one in look_at(name).items()}
        except BaseException:
            taken.unlink()  # another worker shall see for itself, not wait
            raise
        part = file.with_suffix(".part")
        part.write_text(json.dumps(seen), encoding="utf-8")
        part.rename(file)
    kept = json.loads(file.read_text(encoding="utf-8"))
    return {view: Visit(**seen) for view, seen in kept.items()}


def look(page, seen: Visit, view: str) -> None:
    """Write down what the page shows as it is now, once it is drawn."""
    page.evaluate(DRAWN, [VIEWS[view][0], VIEWS[view][2]])
    for key, value in page.evaluate(SEEN).items():
        setattr(seen, key, value)
