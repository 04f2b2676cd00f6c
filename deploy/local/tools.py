"""The programs that the installer found or built, as links in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.local.failure import StackError

PROJECT = Path(__file__).resolve().parents[2]

# Which links each component runs. `deploy/local/install` makes them.
_NEEDS = {
    "kafka": ("java",),
    "postgres": ("initdb", "postgres"),
    "redis": ("redis-server",),
    "s3": ("versitygw",),
}


@dataclass(frozen=True)
class Tools:
    """Where the native programs are."""

    folder: Path = PROJECT / ".local"

    def program(self, name: str) -> Path:
        """The path of a program that a component runs."""
        path = self.folder / "bin" / name
        if not path.exists():
            raise StackError(f"{name} is not installed; run `deploy/local/install`")
        return path

    @property
    def kafka_libraries(self) -> Path:
        """The folder of Kafka's jars."""
        return self.folder / "kafka" / "libs"

    def has(self, component: str) -> bool:
        """Whether everything that the component runs is there."""
        if component == "kafka" and not any(self.kafka_libraries.glob("kafka_*.jar")):
            return False
        return all((self.folder / "bin" / name).exists() for name in _NEEDS[component])
