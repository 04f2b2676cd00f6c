"""kill -9 under load: what was answered with a 2xx stays, and what is too much is a 429."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import boto3
import httpx
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.component.engine.conftest import Engine
from tests.component.engine.test_identities import TRUST
from tests.support.processes import Process, process
from tests.support.waiting import PATIENCE, until

SENDERS = 4
"""Threads for each kind of change."""
MOST_OF_A_KIND = 60
ENOUGH = 5
"""Accepted changes of each kind before the process is killed."""


@dataclass
class Load:
    """Changes of three kinds, sent to one process of the engine until it is gone."""

    engine: Engine
    server: Process
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: dict[str, list[str]] = field(default_factory=lambda: {"key": [], "role": [], "policy": []})
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run_until_killed(self) -> None:
        """Kill the process in the middle of its work."""
        changes = {"key": self.create_key, "role": self.create_role, "policy": self.put_policy}
        with ThreadPoolExecutor(SENDERS * len(changes)) as senders:
            running = [
                senders.submit(self._send, kind, change)
                for kind, change in changes.items()
                for _ in range(SENDERS if kind != "policy" else 1)
            ]
            try:
                until(
                    lambda: min(map(len, self.accepted.values())) >= ENOUGH and self.statuses[429] > 0,
                    f"some changes are accepted and some refused: {self.statuses}",
                )
            finally:
                self.server.kill()
                self._stop.set()
            for each in running:
                each.result(PATIENCE)

    def _send(self, kind: str, change: Callable[[httpx.Client, str], httpx.Response]) -> None:
        with httpx.Client(base_url=self.server.url, timeout=PATIENCE, trust_env=False) as http:
            for number in count():
                if self._stop.is_set() or (kind == "key" and len(self.accepted[kind]) >= MOST_OF_A_KIND):
                    return
                try:
                    answer = change(http, f"{kind}-{uuid.uuid4().hex[:8]}-{number}")
                except httpx.TransportError:
                    return
                with self._lock:
                    self.statuses[answer.status_code] += 1
                    if answer.is_success:
                        self.accepted[kind].append(answer.request.extensions["change"])

    def create_key(self, http: httpx.Client, name: str) -> httpx.Response:
        body = {"kind": "ingest", "label": name, "expires": "1h"}
        headers = {"x-api-key": self.engine.keys["admin"]}
        return http.post("/v1/keys", json=body, headers=headers, extensions={"change": name})

    def create_role(self, http: httpx.Client, name: str) -> httpx.Response:
        form = urlencode(
            {
                "Action": "CreateRole",
                "Version": "2010-05-08",
                "RoleName": name,
                "AssumeRolePolicyDocument": json.dumps(TRUST),
            }
        )
        content_type = {"content-type": "application/x-www-form-urlencoded"}
        signed = AWSRequest("POST", f"{self.server.url}/", headers=content_type, data=form)
        SigV4Auth(self._pair, "iam", "eu-west-1").add_auth(signed)
        headers = dict(signed.headers.items())
        return http.post("/", content=form, headers=headers, extensions={"change": name})

    def put_policy(self, http: httpx.Client, name: str) -> httpx.Response:
        """Signed for the path of S3, below which the gateway puts `/s3`."""
        number = name.rpartition("-")[2]
        body = json.dumps(policy_of(self.engine.bucket, number))
        signed = AWSRequest("PUT", f"{self.server.url}/{self.engine.bucket}?policy", data=body)
        S3SigV4Auth(self._pair, "s3", "eu-west-1").add_auth(signed)
        headers = dict(signed.headers.items())
        path = f"/s3/{self.engine.bucket}?policy"
        return http.put(path, content=body, headers=headers, extensions={"change": number})

    @property
    def _pair(self) -> Credentials:
        return Credentials(self.engine.keys["access_key_id"], self.engine.keys["secret_access_key"])


def policy_of(bucket: str, number: str) -> dict[str, object]:
    statement = {
        "Sid": number,
        "Effect": "Allow",
        "Principal": {"Service": "personalize.amazonaws.com"},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def recorded_policy(engine: Engine) -> int:
    """Return the number in the policy of the bucket, as another process of the engine reads it."""
    signed = AWSRequest("GET", f"{engine.server.url}/{engine.bucket}?policy")
    pair = Credentials(engine.keys["access_key_id"], engine.keys["secret_access_key"])
    S3SigV4Auth(pair, "s3", "eu-west-1").add_auth(signed)
    answer = httpx.get(
        f"{engine.server.url}/s3/{engine.bucket}?policy",
        headers=dict(signed.headers.items()),
        timeout=PATIENCE,
    )
    answer.raise_for_status()
    return int(answer.json()["Statement"][0]["Sid"])


def test_keys_roles_and_policies_outlive_the_process_that_accepted_them(
    engine: Engine, tmp_path: Path
) -> None:
    one_at_a_time = {**engine.environment, "HTTP_MAX_REQUESTS": "1"}
    with process("engine", "serve", one_at_a_time, tmp_path) as server:
        load = Load(engine, server)
        load.run_until_killed()

    assert set(load.statuses) <= {200, 201, 204, 429}
    headers = {"x-api-key": engine.keys["admin"]}
    listed = httpx.get(f"{engine.server.url}/v1/keys", headers=headers, timeout=PATIENCE).json()["keys"]
    iam = boto3.client("iam", endpoint_url=engine.server.url)
    roles = {
        role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]
    }
    assert set(load.accepted["key"]) <= {key["label"] for key in listed}
    assert set(load.accepted["role"]) <= roles
    assert recorded_policy(engine) >= int(load.accepted["policy"][-1])
    for key in listed:
        if key["label"].startswith("key-"):
            httpx.delete(f"{engine.server.url}/v1/keys/{key['id']}", headers=headers, timeout=PATIENCE)
