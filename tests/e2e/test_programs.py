"""Programs written for Amazon Personalize, unchanged: boto3, the `aws` command, AWS's SDK for JavaScript.

All they know is the environment. No test names an endpoint.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import boto3
import pytest

from tests.component.engine.shop import (
    ITEMS,
    USERS,
)
from tests.e2e.program import ROLE, Asking, Program, make_program, train, until_active
from tests.support.deletions import until_deleted
from tests.support.product import Endcap
from tests.support.waiting import PATIENCE, until

SENT_AT = 1_553_631_760


@pytest.fixture(scope="module")
def environment(endcap: Endcap) -> Iterator[dict[str, str]]:
    """What `make env` prints of AWS, set for this process too."""
    known = {name: value for name, value in endcap.environment.items() if name.startswith("AWS_")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in known.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # one that was there keeps the keys of then
        yield {**known, "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"}


@pytest.fixture(scope="module")
def program(endcap: Endcap, environment: dict[str, str]) -> Program:
    """The program of the tests of this file."""
    return make_program(endcap)


@pytest.mark.smoke
def test_a_campaign_recommends_by_descending_score(program: Program) -> None:
    runtime = boto3.client("personalize-runtime")

    ten = runtime.get_recommendations(campaignArn=program.campaign, userId="u1", numResults=10)["itemList"]

    assert len({item["itemId"] for item in ten}) == 10
    scores = [item["score"] for item in ten]
    assert scores == sorted(scores, reverse=True)
    # Nothing is held back from who has met nothing yet, so that all scores are there to be added up.
    everything = runtime.get_recommendations(campaignArn=program.campaign, userId="nobody", numResults=500)
    assert len(everything["itemList"]) == ITEMS
    assert sum(item["score"] for item in everything["itemList"]) == pytest.approx(1, abs=1e-4)


def test_every_sdk_says_the_same_event(
    program: Program, environment: dict[str, str], aws_command: Path, javascript_sdk: Path
) -> None:
    users = {sdk: f"{sdk}-{uuid.uuid4().hex[:8]}" for sdk in ("boto3", "command", "javascript")}
    event = {"eventType": "View", "itemId": "i7", "eventValue": 4.5, "properties": '{"page": "home"}'}
    boto3.client("personalize-events").put_events(
        trackingId=program.tracking_id,
        userId=users["boto3"],
        sessionId=f"session-{users['boto3']}",
        eventList=[{**event, "sentAt": SENT_AT}],
    )
    _run(
        [
            *(str(aws_command / "aws"), "personalize-events", "put-events"),
            *("--tracking-id", program.tracking_id, "--user-id", users["command"]),
            *("--session-id", f"session-{users['command']}"),
            *("--event-list", json.dumps([{**event, "sentAt": SENT_AT}])),
        ],
        environment,
    )
    told = json.loads(_smoke(program, environment, javascript_sdk, users["javascript"]))

    rows = {sdk: program.stored(user)[0] for sdk, user in users.items()}

    assert told["statuses"] == ["ACTIVE"]
    assert told["dates"]
    assert told["missing"]
    assert told["kinds"] == ["INTERACTIONS: 5 fields", "ITEMS: 3 fields", "USERS: 2 fields"]
    assert len(set(told["items"])) == 5
    assert told["scored"]
    assert told["recommendationId"].startswith("RID-")
    said = ("event_type", "sender_type", "item_id", "value", "properties", "source")
    for row in rows.values():
        assert {name: row[name] for name in said} == {name: rows["boto3"][name] for name in said}
        assert row["session_id"] == f"session-{row['user_id']}"
        assert int(row["occurred_at"].timestamp()) == SENT_AT
    # The others cut fractions of a second off before they send.
    assert rows["javascript"]["occurred_at"].microsecond == 123_000


def _smoke(program: Program, environment: dict[str, str], sdk: Path, user: str) -> str:
    # Node looks for packages beside the program, so it lies beside them.
    source = Path(__file__).parent / "javascript" / "smoke.mjs"
    beside = sdk / "smoke.mjs"
    beside.write_text(source.read_text())
    arguments = [program.group, program.campaign, program.tracking_id, user, "i7"]
    return _run(["node", str(beside), *arguments], environment)


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.smoke
def test_a_list_follows_what_a_new_visitor_looks_at(program: Program) -> None:
    user = f"new-{uuid.uuid4().hex[:8]}"
    before = _on_shelf(program.recommended(user), 2)

    for item in ("i2", "i6", "i10"):
        program.put_event(item, session="s", userId=user)

    until(lambda: _on_shelf(program.recommended(user), 2) > before, "the list turns to shelf 2")


def test_a_session_has_recommendations_that_its_user_gets_at_login(program: Program) -> None:
    session, user = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("session", "user"))
    for item in ("i3", "i7", "i11"):
        program.put_event(item, session=session)
    until(lambda: _on_shelf(program.recommended(session), 3) >= 5, "the session's list turns to shelf 3")

    program.put_event("i15", session=session, userId=user)

    until(lambda: _on_shelf(program.recommended(user), 3) >= 5, "the user has the session's list")


def _on_shelf(items: list[str], shelf: int) -> int:
    return sum(int(item.removeprefix("i")) % 4 == shelf for item in items if item[1:].isdigit())


def test_items_and_users_that_are_put_count_at_once(program: Program) -> None:
    """A child is spared shelf 1, and what costs little now is cheap now."""
    personalize, events = boto3.client("personalize"), boto3.client("personalize-events")
    user = f"new-{uuid.uuid4().hex[:8]}"
    filters = {
        name: personalize.create_filter(
            name=f"{program.name}-{name}", datasetGroupArn=program.group, filterExpression=expression
        )["filterArn"]
        for name, expression in (
            ("spared", 'EXCLUDE ItemID WHERE Items.CATEGORY IN ("shelf-1") IF CurrentUser.AGE < 18'),
            ("cheap", "INCLUDE ItemID WHERE Items.PRICE < $PRICE"),
        )
    }

    def passing(name: str, **values: str) -> set[str]:
        runtime = boto3.client("personalize-runtime")
        asked = {"campaignArn": program.campaign, "userId": user, "numResults": 500}
        try:
            answer = runtime.get_recommendations(**asked, filterArn=filters[name], filterValues=values)
        except runtime.exceptions.ResourceNotFoundException:
            return set()  # the filter is on its way
        return {item["itemId"] for item in answer["itemList"]}

    shelf = {f"i{number}" for number in range(1, ITEMS, 4)}
    until(lambda: passing("spared") & shelf, "whose age nobody knows gets shelf 1")
    until(lambda: passing("cheap", PRICE="1.05") == {"i0"}, "i0 alone costs less than 1.05")

    events.put_users(
        datasetArn=program.datasets["Users"], users=[{"userId": user, "properties": '{"age": 10}'}]
    )
    cheaper = json.dumps({"price": 0.5, "category": "shelf-3"})
    events.put_items(datasetArn=program.datasets["Items"], items=[{"itemId": "i59", "properties": cheaper}])

    until(lambda: not passing("spared") & shelf, "a child does not")
    until(lambda: passing("cheap", PRICE="1.05") == {"i0", "i59"}, "i59 has become cheap")
    for arn in filters.values():
        personalize.delete_filter(filterArn=arn)


def test_what_was_sent_counts_in_the_next_training_and_the_campaign_changes_over(
    program: Program,
) -> None:
    """Fifty requests a second meet no error while the campaign goes to the new version and back."""
    personalize, events = boto3.client("personalize"), boto3.client("personalize-events")
    events.put_items(
        datasetArn=program.datasets["Items"],
        items=[{"itemId": "put", "properties": json.dumps({"category": "shelf-1", "price": 3.5})}],
    )
    for number in range(1, USERS, 4):
        program.put_event("put", session=f"s-{number}", kind="Purchase", userId=f"u{number}")
    program.stored(f"u{1 + 4 * ((USERS - 2) // 4)}")
    sql = "SELECT count(*) AS n FROM sync.items WHERE tenant = $1 AND item_id = 'put'"
    until(lambda: program.rows(sql)[0]["n"], "the item that was put is there")
    second = train(program.solution, "UPDATE")
    assert "put" not in program.recommended("somebody", 500)

    with Asking(program) as asking:
        for version in (second, program.version, second):
            personalize.update_campaign(campaignArn=program.campaign, solutionVersionArn=version)
            until_active(personalize.describe_campaign, campaignArn=program.campaign)
            served = partial(_serves, program, knows_put=version == second)
            until(served, f"{version} is served")
            time.sleep(1)

    assert asking.failures == []
    assert asking.answers > 50
    campaign = personalize.describe_campaign(campaignArn=program.campaign)["campaign"]
    assert campaign["solutionVersionArn"] == second


def _serves(program: Program, *, knows_put: bool) -> bool:
    """Whether the version is served that knows the item that was put, or the one that does not."""
    return ("put" in program.recommended("somebody", 500)) == knows_put


def test_a_batch_answers_like_the_sample_notebook_expects(program: Program, tmp_path: Path) -> None:
    personalize, s3 = boto3.client("personalize"), boto3.client("s3")
    lines = ['{"userId": "u1"}', '{"user": "u2"}', '{"userId": "never-seen"}', "{nonsense"]
    s3.put_object(Bucket=program.name, Key="json_input.json", Body="\n".join(lines).encode())
    job = personalize.create_batch_inference_job(
        jobName=program.name,
        solutionVersionArn=program.version,
        roleArn=ROLE,
        jobInput={"s3DataSource": {"path": f"s3://{program.name}/json_input.json"}},
        jobOutput={"s3DataDestination": {"path": f"s3://{program.name}/"}},
    )["batchInferenceJobArn"]
    until_active(personalize.describe_batch_inference_job, batchInferenceJobArn=job)

    s3.download_file(program.name, "json_input.json.out", str(tmp_path / "out"))

    answers = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [answer["error"] is None for answer in answers] == [True, False, True, False]
    assert len(answers[0]["output"]["recommendedItems"]) == len(answers[0]["output"]["scores"]) == 25
    assert answers[2]["output"]["recommendedItems"]
    assert answers[1]["output"] is answers[3]["output"] is None


def test_everything_is_taken_down_in_the_guides_order(program: Program) -> None:
    personalize = boto3.client("personalize")
    [tracker] = personalize.list_event_trackers(datasetGroupArn=program.group)["eventTrackers"]
    taken_down: list[tuple[str, str, str]] = [
        ("campaign", "campaignArn", program.campaign),
        ("solution", "solutionArn", program.solution),
        ("event_tracker", "eventTrackerArn", tracker["eventTrackerArn"]),
        *(("dataset", "datasetArn", arn) for arn in program.datasets.values()),
        *(("schema", "schemaArn", arn) for arn in program.schemas),
        ("dataset_group", "datasetGroupArn", program.group),
    ]
    with pytest.raises(personalize.exceptions.ResourceInUseException):
        personalize.delete_dataset_group(datasetGroupArn=program.group)

    for kind, member, arn in taken_down:
        getattr(personalize, f"delete_{kind}")(**{member: arn})
        if kind != "schema":
            until_deleted(getattr(personalize, f"describe_{kind}"), **{member: arn})

    for kind, member, arn in taken_down:
        with pytest.raises(personalize.exceptions.ResourceNotFoundException):
            getattr(personalize, f"describe_{kind}")(**{member: arn})
