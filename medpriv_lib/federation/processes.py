"""The coordinator and the sites as processes of their own, over TLS; none is left behind."""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from medpriv_lib.core.extra import FEDERATED
from medpriv_lib.core.files import write_json
from medpriv_lib.federation.address import address_of, free_port, require_free, require_known
from medpriv_lib.federation.certificates import (
    AUTHORITY,
    IDENTITY,
    ROSTER,
    SERVER,
    require_files,
)
from medpriv_lib.federation.plan import Plan
from medpriv_lib.federation.programs import PROGRAMS, group

Say = Callable[[str], None]
START, POLL = 300.0, 0.3  # seconds: to listen, between two looks
RETRIES = "8"  # of a site that finds no coordinator, a little longer each time
COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # which a terminal would obey
APP = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "medpriv-federation"
version = "1.0.0"
description = "medpriv: the apps lie in the installed package"
license = "MIT"
dependencies = []
[tool.hatch.build.targets.wheel]
packages = ["."]
[tool.flwr.app]
publisher = "medpriv"
[tool.flwr.app.components]
serverapp = "leading:server"
clientapp = "entry:client"
"""
APPS = {"entry": "client", "leading": "server"}  # module of the package -> the app in it


def lead(
    plan: Plan,
    sites: int,
    listen: str,
    keys: Path,
    out: Path,
    *,
    secure: bool = False,
    say: Say,
    tell: Callable,
) -> None:
    """Lead a federation of `sites` sites that come to `listen`, "host:port", and write the
    recogniser into `out`.

    `keys` holds `ca.crt`, `coordinator.crt`, `coordinator.key` and the public key of each site that
    may come, and the roster where the sum is made under masks (`secure`).
    `tell(number, rounds, round)` is called after each round. Started again after a kill,
    it goes on after the last round. Raises `ValueError` with one line where the port is in use, a
    file is none of these, or a round failed.
    """
    FEDERATED.need("flwr.app")
    names = [f"site-{number}.pub" for number in range(1, sites + 1)]
    masks = [ROSTER] if secure else []
    require_files(keys, [AUTHORITY, f"{SERVER}.crt", f"{SERVER}.key", *names, *masks])
    host, port = address_of(listen)
    require_free(host, port)
    out.mkdir(exist_ok=True)
    from medpriv_lib.federation.leading import FAILED, LEAD, PLAN, SAID

    for name in (FAILED, SAID):
        (out / name).unlink(missing_ok=True)
    roster = os.fspath((keys / ROSTER).absolute()) if secure else None
    write_json(out / PLAN, {"plan": asdict(plan), "sites": sites, "roster": roster})
    with tempfile.TemporaryDirectory(prefix="medpriv-") as made, group() as start:
        home = Path(made)
        environment = quiet(home) | {LEAD: os.fspath(out.absolute())}
        link = start(
            "flower-superlink",
            *("--ssl-ca-certfile", keys / AUTHORITY, "--ssl-certfile", keys / f"{SERVER}.crt"),
            *("--ssl-keyfile", keys / f"{SERVER}.key", "--enable-supernode-auth"),
            *("--disable-runtime-dependency-installation", "--host", host, "--port", str(port)),
            log=out / "coordinator.log",
            environment=environment,
        )
        _await_port(port, link, out / "coordinator.log")
        _configure(home, port, keys / AUTHORITY)
        for name in names:
            _flower(environment, home, "supernode", "register", keys.absolute() / name, "here")
        _write_app(home / "app")
        _flower(environment, home, "run", home / "app", "here")
        say(f"listening on {host}:{port} for {sites} sites")
        _follow(out, plan, link, tell)


def join(
    cohort: Path,
    name: str,
    coordinator: str,
    keys: Path,
    *,
    log: Path | None,
    secure: bool = False,
    budget: Mapping[str, object] | None = None,
    say: Say,
) -> None:
    """Take part as site `name` with the cohort of a file until the coordinator is gone.

    `keys` holds `ca.crt` and the site's key, for masks (`secure`) the roster and the site's
    identity. `log` gets a line for each message that left. `budget` is the `path`, `budget` and
    `delta` of the site's ledger, None where it asks for no privacy. Raises `ValueError` where the
    coordinator cannot be reached or does not know the key.
    """
    FEDERATED.need("flwr.app")
    masks = {"roster": ROSTER, "identity": f"{name}{IDENTITY}"} if secure else {}
    require_files(keys, [AUTHORITY, name, *masks.values()])
    require_known(*address_of(coordinator))
    from medpriv_lib.federation.entry import SITE

    own = {
        "cohort": os.fspath(cohort.absolute()),
        "name": name,
        "log": None if log is None else os.fspath(log.absolute()),
        "masks": {key: os.fspath((keys / file).absolute()) for key, file in masks.items()} or None,
        "budget": None if budget is None else dict(budget),
    }
    with tempfile.TemporaryDirectory(prefix="medpriv-") as made, group() as start:
        said = Path(made) / "said.log"
        node = start(
            "flower-supernode",
            *("--root-certificates", keys / AUTHORITY, "--superlink", coordinator),
            *("--auth-supernode-private-key", keys / name, "--port", str(free_port())),
            *("--max-retries", RETRIES),
            log=said,
            environment=quiet(Path(made)) | {SITE: json.dumps(own)},
        )
        say(f"{name} takes part, coordinator {coordinator}; end it with Ctrl-C")
        code = node.wait()
        text = said.read_text(encoding="utf-8", errors="replace")
    _explain(name, coordinator, code, text)


def _explain(name: str, coordinator: str, code: int, text: str) -> None:
    """Raise `ValueError` where a node's end was no good end."""
    low = text.lower()
    if "certificate" in low and ("verif" in low or "ssl" in low):
        raise ValueError(
            f"{name}: the coordinator at {coordinator} has another certificate than ca.crt vouches "
            "for, or another host name; ask whoever leads for the right ca.crt"
        )
    if "unauthenticated" in low or "unauthorized" in low or "not registered" in low:
        raise ValueError(
            f"{name}: the coordinator does not know this key; give whoever leads the .pub file"
        )
    if code or "max" in low and "retr" in low:
        last = [line for line in text.strip().splitlines() if line.strip()][-1:]
        raise ValueError(
            f"{name}: the coordinator at {coordinator} is gone or cannot be reached; start the "
            f"same again when it is back ({COLOUR.sub('', ' '.join(last))[-200:]})"
        )


def quiet(home: Path) -> dict[str, str]:
    """Return the environment of Flower's processes: they tell nobody and write into `home`."""
    return os.environ | {
        "FLWR_HOME": os.fspath(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _await_port(port: int, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if process.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise ValueError(f"the coordinator did not start: {' '.join(last)}; see {log}")
        with socket.socket() as one:
            one.settimeout(POLL)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(POLL)
    raise ValueError(f"the coordinator did not listen within {START:.0f} s; see {log}")


def _configure(home: Path, port: int, authority: Path) -> None:
    lines = ("[superlink]", 'default = "here"', "[superlink.here]", f'address = "127.0.0.1:{port}"')
    text = "\n".join([*lines, f"root-certificates = {json.dumps(str(authority.absolute()))}", ""])
    (home / "config.toml").write_text(text, encoding="utf-8")


def _write_app(folder: Path) -> None:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(APP, encoding="utf-8")
    for module, app in APPS.items():  # each process imports its own part of the package only
        text = f'"""An app of the package."""\n\nfrom medpriv_lib.federation import {module}\n\n'
        text += f"{app} = {module}.{app}\n"  # an assignment: Flower looks for one
        (folder / f"{module}.py").write_text(text, encoding="utf-8")


def _flower(environment: Mapping[str, str], home: Path, *words: object) -> None:
    """Run one of Flower's commands; raise `ValueError` with its last words where it fails."""
    done = subprocess.run(
        [str(PROGRAMS / "flwr"), *map(str, words)],
        env=dict(environment),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=START,
    )
    if done.returncode:
        said = " ".join(f"{done.stdout} {done.stderr}".split())[-300:]
        raise ValueError(f"Flower refused `flwr {words[0]} {words[1]}`: {said}")


def _follow(out: Path, plan: Plan, link: subprocess.Popen, tell: Callable) -> None:
    """Pass on what the coordinator's app writes, until it has finished or failed."""
    from medpriv_lib.federation.coordinator import round_of
    from medpriv_lib.federation.leading import FAILED, SAID
    from medpriv_lib.federation.result import ROUNDS

    heard = 0
    before = _stamp(out / ROUNDS)
    while True:
        finished = _stamp(out / ROUNDS) != before
        text = (out / SAID).read_text(encoding="utf-8") if (out / SAID).exists() else ""
        lines = text.splitlines(keepends=True)
        for line in (line for line in lines[heard:] if line.endswith("\n")):
            heard += 1
            one = round_of(json.loads(line))
            tell(one.number, plan.rounds, one)
        if (out / FAILED).exists():
            content = json.loads((out / FAILED).read_text(encoding="utf-8"))
            (out / FAILED).unlink()
            raise ValueError(content["error"])
        if finished:
            return
        if link.poll() is not None:
            raise ValueError(
                f"Flower's server ended with status {link.returncode}; see {out}/coordinator.log, "
                "then start the same again"
            )
        time.sleep(POLL)


def _stamp(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None
