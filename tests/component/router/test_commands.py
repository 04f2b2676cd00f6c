"""`python -m services.router experiments`: the life of an experiment from a shell."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from services.router.commands.experiments import run
from tests.component.router.experiments import AB


async def test_an_experiment_lives_and_ends_by_commands(
    world: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thirds = tmp_path / "thirds.json"
    variants = [{"name": name, "weight": weight} for name, weight in (("a", 33), ("b", 33), ("c", 34))]
    thirds.write_text(json.dumps(AB | {"variants": variants}))
    async with world.listening() as url:

        async def command(*arguments: str, key: str = world.keys["admin"]) -> str:
            capsys.readouterr()
            assert await asyncio.to_thread(run, None, ["--url", url, "--key", key, *arguments]) == 0
            return capsys.readouterr().out

        created = await command("create", str(thirds), "--start")
        split = await command("split", "affinity", "--unit", "u1")
        forced = await command("force", "affinity", "me=c")
        me = json.loads(await command("--json", "split", "affinity", "--sample", "0", "--unit", "me"))
        disabled = await command("disable", "affinity", "b")
        await command("enable", "affinity", "b")
        shown = await command("show", "affinity")
        with pytest.raises(SystemExit, match="412 affinity was changed meanwhile") as stale:
            await command("pause", "affinity", "--if-match", '"1.2"')
        with pytest.raises(SystemExit, match="403"):
            await command("pause", "affinity", key=world.keys["read"])
        paused = await command("pause", "affinity")
        results = await command("results", "affinity", "--pre-days", "0")
        await command("stop", "affinity")
        decided = await command("decide", "affinity", "--variant", "a", "--reason", "No difference.")
        log = await command("changes", "affinity")
        archived = await command("archive", "affinity")
        left = json.loads(await command("--json", "list"))
        with pytest.raises(SystemExit, match="409 affinity has no draft"):
            await command("delete", "affinity")

    assert created.startswith('affinity version 1: running, ETag "1.2"')
    assert {row.split()[0] for row in split.splitlines()} == {
        *("variant", "a", "b", "c", "held", "none", "unit", "u1"),
    }
    assert me["units"] == {"me": "c"}
    assert all("running" in text for text in (forced, disabled))
    assert "variant  weight  answers   units" in shown
    assert "Read it again" in str(stale.value)
    assert "paused" in paused
    assert "a 0 people" in results
    assert "too few units" in results
    assert "decided" in decided
    assert "No difference." in log
    assert "archived" in archived
    assert left == []


async def test_a_file_declares_experiments(
    world: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "resources.yaml"
    experiment = {name: AB[name] for name in ("surface", "variants")}

    def declare(**members: Any) -> None:
        groups = {"shop": {"experiments": {"affinity": experiment | members}}, "other": {"experiments": None}}
        file.write_text(json.dumps({"version": 1, "datasetGroups": groups}))

    async with world.listening() as url:

        async def command(*arguments: str) -> str:
            capsys.readouterr()
            arguments = ("--url", url, "--key", world.keys["admin"], *arguments)
            assert await asyncio.to_thread(run, None, list(arguments)) == 0
            return capsys.readouterr().out.strip()

        declare(traffic=0.5)
        planned = await command("apply", str(file), "--plan")
        nothing = await command("list")
        texts = [planned, await command("apply", str(file)), await command("apply", str(file))]
        declare(traffic=0.5, running=True)
        texts += [await command("apply", str(file)) for _ in range(2)]
        declare(running=True)
        texts.append(await command("apply", str(file), "--group", "shop"))
        declare(running=True, variants=[*AB["variants"], {"name": "third"}])
        texts.append(await command("apply", str(file)))
        exported = tmp_path / "exported.yaml"
        exported.write_text(await command("export", "--group", "shop"))
        texts.append(await command("apply", str(exported)))
        declare(surface="nowhere")
        with pytest.raises(SystemExit, match=r"400 .*surface"):
            await command("apply", str(file))
        with pytest.raises(SystemExit, match="there are: shop"):
            await command("apply", str(file), "--group", "other")

    same = "All experiments are as the file declares."
    assert texts == [
        "+ experiment affinity",
        "+ experiment affinity",
        same,
        "~ experiment affinity: started",
        same,
        "~ experiment affinity: version 2, the same phase, started",
        "~ experiment affinity: version 3, a new phase, started",
        same,
    ]
    assert nothing == "name  version  status  surface"


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_file_that_defines_nothing_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "experiment.json"
    file.write_text(content)

    with pytest.raises(SystemExit, match="no definition"):
        run(None, ["--key", "ek", "--url", "http://127.0.0.1:9", "create", str(file)])  # type: ignore[arg-type]
