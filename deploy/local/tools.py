"""The programs that the installer has found or built, as links in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

PROJECT = Path(__file__).resolve().parents[2]

# The programs of each component. `deploy/local/install` creates the links.
_NEEDS = {
    "kafka": ("java",),
    "postgres": ("initdb", "postgres"),
    "redis": ("redis-server",),
    "s3": ("versitygw",),
    "gateway": ("nginx",),
}


@dataclass(frozen=True)
class Tools:
    """The folder of the native programs."""

    folder: Path = PROJECT / ".local"

    def program(self, name: str) -> Path:
        """Return the path of a program. Raises StackError if it is not installed."""
        path = self.folder / "bin" / name
        if not path.exists():
            raise StackError(f"{name} is not installed; run `deploy/local/install`")
        return path

    @property
    def kafka_libraries(self) -> Path:
        """Return the folder of Kafka's jars."""
        return (self.folder / "kafka" / "libs").resolve()

    @property
    def kafka_class_archive(self) -> Path:
        """Return the path of the archive of Kafka's classes, which makes brokers start faster."""
        return self.folder / "kafka" / "classes.jsa"

    def has(self, component: str) -> bool:
        """Return whether all programs of a component are installed."""
        if component == "kafka" and not any(self.kafka_libraries.glob("kafka_*.jar")):
            return False
        return all((self.folder / "bin" / name).exists() for name in _NEEDS[component])
