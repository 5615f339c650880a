"""The jars of Apache Kafka: fetched once into a cache outside the tree, each checked against its committed SHA-256 sum.

`deploy/local/kafka-jars.sha256` is the lock: a line is `sum  group:artifact:version`.
`python -m decorum_local.kafka_jars` resolves Kafka's dependencies anew and prints that file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jgo
from jgo.maven import MavenContext
from rich.console import Console
from rich.progress import Progress

KAFKA: Final = "org.apache.kafka:kafka_2.13:4.3.1"
LOGGING: Final = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
LOCK_PATH: Final = Path(__file__).parents[2] / "kafka-jars.sha256"
DOWNLOADS_MAX: Final = 6
DOWNLOAD_TIMEOUT_SECONDS: Final = 60
TRIES_MAX: Final = 3


class JarError(Exception):
    """A jar could not be fetched, or is not the one that was committed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One locked jar."""

    coordinates: str
    sha256: str

    def path(self, repository: Path) -> Path:
        """Where it lies in a Maven repository folder."""
        group, artifact, version = self.coordinates.split(":")
        return repository.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def cache_folder() -> Path:
    """`$DECORUM_CACHE_DIR`, or the user's cache folder."""
    configured = os.environ.get("DECORUM_CACHE_DIR")
    if configured:
        return Path(configured).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "decorum"


def locked_jars() -> list[Jar]:
    """Read the lock, in class path order."""
    lines = LOCK_PATH.read_text().splitlines()
    return [Jar(sha256=line.split()[0], coordinates=line.split()[1]) for line in lines]


def kafka_class_path() -> str:
    """Fetch what is missing, check every jar, and return the class path. Offline once the cache is full."""
    repository = cache_folder() / "maven"
    jars = locked_jars()
    if _missing(jars, repository):
        repository.mkdir(parents=True, exist_ok=True)
        with (repository / ".fetching").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # who waits here finds what the other one fetched
            if missing := _missing(jars, repository):
                _fetch(missing, repository)
    for jar in jars:
        _check(jar, repository)
    return os.pathsep.join(str(jar.path(repository)) for jar in jars)


def _missing(jars: list[Jar], repository: Path) -> list[Jar]:
    return [jar for jar in jars if not jar.path(repository).exists()]


def _fetch(jars: list[Jar], repository: Path) -> None:
    # Fetched aside and moved when its sum is right: a start that is cut short leaves no half jar.
    aside = repository / f".fetching-{os.getpid()}"
    try:
        with (
            Progress(console=Console(stderr=True), transient=True) as progress,
            ThreadPoolExecutor(DOWNLOADS_MAX, thread_name_prefix="kafka-jars") as pool,
        ):
            task = progress.add_task(f"fetching {len(jars)} jars of Apache Kafka, once", total=len(jars))
            for _ in pool.map(lambda jar: _fetch_one(jar, repository, aside), jars):
                progress.advance(task)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _fetch_one(jar: Jar, repository: Path, aside: Path) -> None:
    group, artifact, version = jar.coordinates.split(":")
    failure = ""
    for _ in range(TRIES_MAX):
        context = MavenContext(repo_cache=aside, timeout=DOWNLOAD_TIMEOUT_SECONDS)
        try:
            fetched = context.project(group, artifact).at_version(version).artifact().resolve()
        except (OSError, RuntimeError) as error:
            failure = str(error)
            continue
        found = hashlib.sha256(fetched.read_bytes()).hexdigest()
        if found == jar.sha256:
            target = jar.path(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            fetched.replace(target)
            return
        fetched.unlink()
        failure = f"its SHA-256 sum is {found}, expected {jar.sha256}"
    raise JarError(f"{jar.coordinates} could not be fetched: {failure}")


def _check(jar: Jar, repository: Path) -> None:
    path = jar.path(repository)
    if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
        path.unlink()
        raise JarError(f"{path} was not the jar in {LOCK_PATH.name} and has been removed: start again to fetch it anew")


def resolve() -> Iterator[Jar]:
    """Resolve Kafka and its log binding from the Maven repository, as the lock should have them."""
    seen: set[str] = set()
    for artifact in [*jgo.resolve(KAFKA), *jgo.resolve(LOGGING)]:
        name = f"{artifact.groupId}:{artifact.artifactId}"
        if name not in seen:
            seen.add(name)
            sha256 = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
            yield Jar(coordinates=f"{name}:{artifact.version}", sha256=sha256)


if __name__ == "__main__":
    for resolved in resolve():
        print(f"{resolved.sha256}  {resolved.coordinates}")
