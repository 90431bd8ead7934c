"""The program under test: its configuration, its process, its answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .cluster import Database, wait_for
from .local_socket import ask

SOURCE_DIR = Path(__file__).resolve().parents[2]


def tarn_binary() -> str:
    return os.environ.get("TARN_BIN") or str(SOURCE_DIR / "build/release/tarn")


def hudi_rows(path: Path | str, arguments: list[str]) -> list[dict]:
    """What `tarn hudi read` prints."""
    done = subprocess.run([tarn_binary(), "hudi", "read", str(path), "--format", "json", *arguments], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise AssertionError(done.stderr)
    return [json.loads(line) for line in done.stdout.split("\n") if line]


@dataclass
class Outcome:
    """What a command did."""
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class TarnError(AssertionError):
    def __init__(self, outcome: Outcome):
        super().__init__(f"exit code {outcome.code}\n{outcome.text}")
        self.outcome = outcome


def lsn_value(text: str) -> int:
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def toml_value(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value)


class Tarn:
    """One lake with its configuration, and the process that runs it."""

    def __init__(self, folder: Path, database: Database, *, names: str = "tarn", principals: list[dict] | None = None,
                 **sections: dict):
        """`sections`: what differs from the defaults below, such as tables={"include": [...]}."""
        self.folder = folder
        self.database = database
        self.lake = folder / "lake"
        self.log = folder / "run.log"
        self.process: subprocess.Popen | None = None
        self.environment: dict[str, str] = {}
        self.sections = {
            "source": {"host": str(database.cluster.folder), "port": database.cluster.port, "database": database.name,
                       "user": "postgres", "slot": names, "publication": names,
                       "watch_interval_ms": 250},
            "tables": {"include": ["public.*"]},
            "lake": {"path": "lake"},
            "silver": {"commit_interval_ms": 100},
            "gold": {"interval_ms": 200},
            "query": {"memory_mb": 256, "threads": 2},
            "log": {"level": "info"},
        }
        for name, values in sections.items():
            self.sections.setdefault(name, {}).update(values)
        self.principals = principals or []
        self.extra = ""  # More of tarn.toml, as it stands.
        folder.mkdir(parents=True, exist_ok=True)
        self.write_config()

    def write_config(self):
        text = ""
        for name, values in self.sections.items():
            text += f"[{name}]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in values.items()) + "\n"
        for principal in self.principals:
            text += "[[principals]]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in principal.items())
        (self.folder / "tarn.toml").write_text(text + self.extra)

    def _command(self, arguments) -> list[str]:
        return [tarn_binary(), "--config", str(self.folder / "tarn.toml"), *map(str, arguments)]

    def command(self, *arguments, timeout: float = 120, environment: dict | None = None) -> Outcome:
        done = subprocess.run(self._command(arguments), text=True, errors="replace", capture_output=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={**os.environ, **self.environment, **(environment or {})},
                              cwd=self.folder)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments, **options) -> str:
        outcome = self.command(*arguments, **options)
        if outcome.code != 0:
            raise TarnError(outcome)
        return outcome.out

    # The process.

    def start(self, wait: bool = True, environment: dict | None = None, seconds: float = 60) -> "Tarn":
        assert self.process is None or self.process.poll() is not None, "it runs already"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self._command(["run"]), stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, cwd=self.folder,
                                            env={**os.environ, **self.environment, **(environment or {})})
        if wait:
            self.wait_streaming(seconds)
        return self

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait_exit(self, seconds: float = 60) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"tarn did not stop within {seconds} s\n{self.log_tail()}") from None

    def stop(self, how: int = signal.SIGINT, seconds: float = 30) -> int:
        self.process.send_signal(how)
        return self.wait_exit(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.is_running():
            self.kill()

    def check_tables(self):
        """Fails unless every reader of Hudi can read each table that is there: also what a killed process left."""
        tables = sorted(path.parent.parent for layer in ("silver", "quarantine", "gold")
                        for path in self.lake.glob(f"{layer}/*/.hoodie/hoodie.properties"))
        if not tables:
            return
        outcome = self.command("hudi", "check", *tables)
        assert outcome.code == 0, f"{outcome.text}\n{self.log_tail()}"

    def log_bytes(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self) -> str:
        return self.log.read_text()[-3000:] if self.log.exists() else ""

    # Answers.

    def status(self) -> dict | None:
        """None while nothing answers."""
        return ask(self.lake, "status")

    def wait_status(self, condition, seconds: float = 60, what: str = "the state") -> dict:
        def look():
            assert self.is_running(), f"tarn stopped by itself\n{self.log_tail()}"
            status = self.status()
            return status if status and condition(status) else None
        try:
            return wait_for(look, seconds, what, every=0.03)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.status()}\n{self.log_tail()}") from None

    def wait_streaming(self, seconds: float = 60) -> dict:
        return self.wait_status(lambda s: s["phase"] == "streaming", seconds, "streaming")

    def wait_caught_up(self, seconds: float = 60) -> dict:
        """Until all that is committed on the source now is in Silver."""
        mark = lsn_value(self.database.mark())

        def there(status):
            return (status["phase"] == "streaming" and lsn_value(status["source"]["confirmed"]) >= mark
                    and status["silver"]["lsn"] == status["bronze"]["lsn"])
        return self.wait_status(there, seconds, f"Silver at {mark:X}")

    def wait_settled(self, seconds: float = 60) -> dict:
        """Caught up, and no table is to be copied again for what is on the source now."""
        looks = self.wait_status(lambda s: True)["source"]["looks"]
        # The look that is under way may have begun before; the second one has not.
        self.wait_status(lambda s: s["source"]["looks"] >= looks + 2 and not s["copies"]["wanted"], seconds, "a source without news")
        return self.wait_caught_up(seconds)

    def wait_gold(self, seconds: float = 60) -> dict:
        """Until Gold has followed what is on the source now; its models touch what Silver does."""
        silver = self.wait_caught_up(seconds)["silver"]["lsn"]
        return self.wait_status(lambda s: lsn_value(s["gold"]["lsn"]) >= lsn_value(silver), seconds, "Gold")

    def query(self, sql: str, principal: str | None = None, as_of: str | None = None, fresh: str | None = None) -> list[dict]:
        outcome = self.try_query(sql, principal, as_of, fresh)
        if outcome.code != 0:
            raise TarnError(outcome)
        # Not splitlines(): a text may hold U+2028.
        return [json.loads(line) for line in outcome.out.split("\n") if line]

    def try_query(self, sql: str, principal: str | None = None, as_of: str | None = None, fresh: str | None = None) -> Outcome:
        arguments = ["query", "--format", "json", "--quiet"]
        if principal:
            arguments += ["--as", principal]
        if as_of:
            arguments += ["--as-of", as_of]
        if fresh:
            arguments += ["--fresh", fresh]
        return self.command(*arguments, "--", sql)

    def value(self, sql: str, principal: str | None = None, as_of: str | None = None):
        rows = self.query(sql, principal, as_of)
        assert len(rows) == 1 and len(rows[0]) == 1, rows
        return next(iter(rows[0].values()))

    def verify(self) -> dict:
        """Fails unless Silver and quarantine equal the source; the tables' results by name."""
        outcome = self.command("verify", "--json")
        assert outcome.code in (0, 3), f"{outcome.text}\n{self.log_tail()}"
        result = json.loads(outcome.out)
        tables = {table["table"]: table for table in result["tables"]}
        different = [table for table in result["tables"] if not table["equal"] and not table["append_only"]]
        assert result["ok"] and not different, f"differs: {json.dumps(different, indent=1)}\n{self.log_tail()}"
        return tables

    def bronze_verified(self) -> dict:
        """Fails unless Bronze is complete; the report."""
        outcome = self.command("bronze", "verify", "--json")
        assert outcome.code == 0, f"{outcome.text}\n{self.log_tail()}"
        return json.loads(outcome.out)

    def table_rows(self, table: str) -> list[str]:
        """All rows of a table but Hudi's own columns, in an order of their own: for comparisons of whole tables."""
        rows = self.query(f"SELECT * FROM {table}")
        return sorted(json.dumps({k: v for k, v in row.items() if not k.startswith("_hoodie_")}, sort_keys=True)
                      for row in rows)
