"""The running product for a benchmark: as the tests start it, with data kept as safe as in `make run`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.environment import external_components
from deploy.local.ports import Ports
from deploy.local.stack import Stack
from tests.support.product import Endcap, running


@contextmanager
def product() -> Iterator[Endcap]:
    """Everything on free ports with an empty shop; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="endcap-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        ports = Ports.free()
        stack = Stack(Path(folder), ports, external_components(ports, os.environ))
        try:
            stack.launch(ends_with_caller=True)
            stack.start_everything()
            yield running(stack)
        finally:
            stack.stop()


def of_service(environment: Mapping[str, str], service: str) -> dict[str, str]:
    """The variables of a stack as one service reads them: its own come before those of all."""
    prefix = f"{service.upper()}_"
    own = {name.removeprefix(prefix): value for name, value in environment.items() if name.startswith(prefix)}
    return {**environment, **own}
