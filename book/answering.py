"""Execute a chapter and, at each exercise, try answers: two plausible wrong ones, nothing done, the
solution. After some cells, see whether they say something else with a changed library. What the
chapter shows stays as if nobody had tried.
"""

import json
import os
from pathlib import Path
from typing import Any

import nbformat
from changing import Change
from nbclient import NotebookClient
from nbformat import NotebookNode

BOOK = Path(__file__).resolve().parent
LISTENING, CHANGING = "__import__('listening')", "__import__('changing')"


class Answering(NotebookClient):
    """A client that answers exercises while it executes a notebook.

    `wrong` exercise -> the wrong answers to it; `attempts` afterwards: one {"exercise", "kind",
    "verdicts"} for each attempt, in their order, with (name, passed) of each self-check that ran.
    An answer that raises outside a self-check stops the execution, as any cell does. `changes` of
    the library for this chapter; `noticed` afterwards: for each of them {"file", "same",
    "changed"}, what its last cell says when it is run again without and with the change.
    """

    def __init__(
        self,
        nb: NotebookNode,
        wrong: dict[str, list[str]],
        changes: tuple[Change, ...] = (),
        **settings: Any,
    ) -> None:
        """Make the client; `settings` are those of nbclient."""
        super().__init__(nb, **settings)
        self.wrong, self._listens = wrong, False
        self.attempts: list[dict] = []
        self.noticed: list[dict] = []
        sources = [cell["source"] if cell["cell_type"] == "code" else "" for cell in nb["cells"]]
        self._changes = [(change, change.places(sources)) for change in changes]
        paths = [str(BOOK), str(BOOK.parent), os.environ.get("PYTHONPATH", "")]
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

    async def async_start_new_kernel(self, **named: Any) -> None:
        """Start the kernel where it finds the module that listens."""
        await super().async_start_new_kernel(env=self._environment, **named)

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, *arguments: Any, **named: Any
    ) -> NotebookNode:
        """Execute one cell, with the attempts that belong before and after it."""
        tags, name = cell["metadata"].get("tags", []), cell["metadata"].get("exercise", "")
        if cell["cell_type"] == "code" and not self._listens:
            await self._run(f"{LISTENING}.install()", cell_index)
            self._listens = True
        if "exercise" in tags:
            test = self.nb["cells"][cell_index + 1]["source"]
            for number, answer in enumerate(self.wrong.get(name, []), start=1):
                await self._begin(cell_index)
                await self._run(answer, cell_index)
                await self._run(test, cell_index)
                await self._end(name, f"wrong answer {number}", cell_index, forget=True)
        if "exercise" in tags or "solution" in tags:
            await self._begin(cell_index)
        done = await super().async_execute_cell(cell, cell_index, *arguments, **named)
        if "check" in tags or "solution" in tags:
            kind = "unsolved" if "check" in tags else "solution"
            await self._end(name, kind, cell_index, forget=False)
            self.nb["cells"][cell_index] = done
        for change, places in self._changes:
            if places[-1] == cell_index:
                await self._see(change, [self.nb["cells"][place]["source"] for place in places])
        return done

    async def _see(self, change: Change, sources: list[str]) -> None:
        """Run cells again, once as they are and once with a changed library."""
        index, said = 0, []
        while self.nb["cells"][index]["cell_type"] != "code":
            index += 1
        given = json.dumps(change._asdict())
        for first in (f"{LISTENING}.begin(globals())", f"{CHANGING}.begin({given!r})"):
            await self._run(first, index)
            outputs = [await self._outputs(source, index, stops=False) for source in sources]
            said.append(text(outputs[-1]))
            await self._run(f"{CHANGING}.end(); {LISTENING}.restore(globals())", index)
        self.noticed.append({"file": change.file, "same": said[0], "changed": said[1]})

    async def _begin(self, index: int) -> None:
        await self._run(f"{LISTENING}.begin(globals())", index)

    async def _end(self, name: str, kind: str, index: int, forget: bool) -> None:
        said = await self._run(f"{LISTENING}.end(globals(), {name!r}, {kind!r}, {forget})", index)
        self.attempts.append(json.loads(said))

    async def _run(self, code: str, index: int) -> str:
        """Run code that is no cell of the notebook; return what it printed."""
        outputs = await self._outputs(code, index)
        return "".join(one["text"] for one in outputs if one.get("name") == "stdout")

    async def _outputs(self, code: str, index: int, stops: bool = True) -> list[NotebookNode]:
        """Run code that is no cell of the notebook; an error is an output where it `stops` not."""
        cell = nbformat.v4.new_code_cell(code)
        if not stops:
            cell["metadata"]["tags"] = ["raises-exception"]
        executed, before = self.code_cells_executed, self.nb["cells"][index]
        await super().async_execute_cell(cell, index, store_history=False)
        self.code_cells_executed, self.nb["cells"][index] = executed, before
        return cell["outputs"]


def text(outputs: list[NotebookNode]) -> str:
    """Return what a cell printed and showed as text, and its error."""
    printed = [one["text"] for one in outputs if one.get("name") == "stdout"]
    shown = [one.get("data", {}).get("text/plain", "") for one in outputs]
    raised = [f"{one['ename']}: {one['evalue']}" for one in outputs if "ename" in one]
    return "".join(printed + shown + raised)
