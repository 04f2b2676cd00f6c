"""The running product for a benchmark: started as for tests, with data as durable as in `make run`."""

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
    """Run the product on free ports with an empty shop, and remove it afterwards."""
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


def service_environment(environment: Mapping[str, str], service: str) -> dict[str, str]:
    """Return the variables of a stack as one service reads them: `<SERVICE>_NAME` overrides `NAME`."""
    prefix = f"{service.upper()}_"
    own = {name.removeprefix(prefix): value for name, value in environment.items() if name.startswith(prefix)}
    return {**environment, **own}
