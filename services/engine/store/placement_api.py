"""The REST routes of placements, called with the keys and the endpoint of a boto3 client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.session import get_session

from shared.errors import Permanent, Transient

_AMAZON = ".amazonaws.com"
_SERVER_ERROR, _CLIENT_ERROR = 500, 400


class PlacementApi:
    """Reads and defines the placements of dataset groups.

    A call that is refused raises Permanent, and a service that cannot be reached Transient.
    """

    def __init__(self, client: Any) -> None:
        """Take the endpoint and the region of a client of Personalize, and the keys of the environment."""
        self._endpoint: str = client.meta.endpoint_url.rstrip("/")
        self._region: str = client.meta.region_name
        self._http = URLLib3Session()
        self.exist = _AMAZON not in self._endpoint
        """False for Amazon Personalize, which has no placements."""

    def of_group(self, group: str) -> dict[str, dict[str, Any]]:
        """Return the defined placements of a dataset group, without its defaults."""
        if not self.exist:
            return {}
        listed = self._call("GET", f"/v1/placements?datasetGroup={quote(group)}")["placements"]
        return {each["name"]: each["placement"] for each in listed if each["status"] == "defined"}

    def put(self, group: str, name: str, definition: Mapping[str, Any]) -> None:
        """Define a placement of a dataset group."""
        self._call("PUT", f"/v1/placements/{quote(name)}?datasetGroup={quote(group)}", definition)

    def _call(self, method: str, target: str, body: Mapping[str, Any] | None = None) -> Any:
        credentials = get_session().get_credentials()
        if credentials is None:
            raise NoCredentialsError
        data = None if body is None else json.dumps(body).encode()
        request = AWSRequest(method, self._endpoint + target, {"content-type": "application/json"}, data)
        SigV4Auth(credentials, "personalize", self._region).add_auth(request)
        try:
            answer = self._http.send(request.prepare())
        except BotoCoreError as error:
            raise Transient(f"the placements can't be reached: {error}") from None
        content = json.loads(answer.content or b"{}")
        if answer.status_code >= _SERVER_ERROR:
            raise Transient(f"the placements can't be reached: {content.get('detail', answer.status_code)}")
        if answer.status_code >= _CLIENT_ERROR:
            raise Permanent(content.get("detail", f"status {answer.status_code}"))
        return content
