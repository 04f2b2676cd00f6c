"""Run a server as an unprivileged user if the caller is root."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import StackError


def as_unprivileged_user(folder: Path, user: str) -> list[str]:
    """Create a server's folder, which belongs to its user, and return the command prefix to run it as that.

    The prefix is empty unless the caller is root. If the user may not enter a parent folder (such as root's
    home), the prefix grants the capability to search folders, and no other. Raises StackError if that is not
    possible.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.getuid() != 0:
        return []
    shutil.chown(folder, user)
    prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    for capability in (None, "dac_read_search", "dac_override"):
        capability_options = [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
        words = [*prefix, *(capability_options if capability else [])]
        # Not test(1), since access(2) ignores capabilities.
        test = [*words, "touch", str(folder)]
        if subprocess.run(test, capture_output=True, timeout=10, check=False).returncode == 0:
            return words
    raise StackError(
        f"the user {user} cannot enter {folder}, and root cannot grant the capability here; move the "
        "clone to a folder that other users may enter, such as /srv/endcap"
    )
