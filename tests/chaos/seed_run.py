"""One seed: a source, a lake, some rounds of writing and disturbing, and the comparisons at the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from pathlib import Path

from support.cluster import Cluster, Database, wait_for
from support.scratch import scratch_parent
from support.tarn import SOURCE_DIR, Tarn

from .disturbances import disturb, settle
from .moments import Moment, compare, read_source
from .operations import insert_into
from .reshaping import reshape
from .shapes import Table, random_tables
from .writers import Journal, Writer

KEPT = SOURCE_DIR / "build/chaos"


def random_sections(rng: random.Random, tenants: bool) -> dict:
    """Settings under which changes are committed as they come, are staged for a while, or wait for the default times."""
    sections: dict = {"silver": {"copy_workers": rng.randint(1, 3)}, "bronze": {}}
    commit = rng.choice((0, 30, 200, 1000, 10_000))
    flush = rng.choice((0, 20, 300, 4_000))
    sections["silver"]["commit_interval_ms"] = commit
    sections["bronze"]["flush_interval_ms"] = flush
    # One transaction in one piece, or in many.
    sections["source"] = {"piece_kb": rng.choice((1, 16, 48 << 10))}
    if tenants:
        sections["tenants"] = {"column": "tenant_id"}
    return sections


class Chaos:
    """The state of one seed's run."""

    def __init__(self, seed: int, folder: Path, size: float):
        self.seed, self.folder, self.size = seed, folder, size
        self.rng = random.Random(f"chaos/{seed}")
        self.journal = Journal(folder / "journal.txt")
        self.tenants = self.rng.random() < 0.6
        self.tables: list[Table] = random_tables(self.rng, self.tenants)
        self.sections = random_sections(self.rng, self.tenants)
        memory = self.rng.choice(("64kB", "64kB", "64MB"))
        self.journal.add("chaos", f"seed {seed}, {self.sections}, logical_decoding_work_mem {memory}")
        self.cluster = Cluster(folder / "server", logical_decoding_work_mem=memory)
        self.database: Database
        self.tarn: Tarn
        self.writers: list[Writer] = []
        self.moments: list[Moment] = []
        self.outage = False  # The source was away since tarn streamed: a start then may fail, and is made again.

    # What disturbances use.

    def start_tarn(self):
        self.journal.add("chaos", "tarn starts")
        self.log_bytes = self.tarn.log_bytes()
        self.tarn.start(wait=False)

    def has_spoken(self) -> bool:
        """Whether tarn has logged anything since it was started."""
        return self.tarn.log_bytes() > self.log_bytes

    def source_goes(self):
        self.outage = True

    def keep_running(self):
        """A start that meets no source ends, as it says it does; nothing else may."""
        if self.tarn.is_running():
            return
        code = self.tarn.process.returncode
        assert self.outage and code == 1, f"tarn ended by itself, code {code}\n{self.tarn.log_tail()}"
        self.journal.add("chaos", "tarn ended: " + self.tarn.log_tail().splitlines()[-1])
        self.start_tarn()

    def wait_writers(self, transactions: int):
        """Until they made so many more, or are at the end of their round."""
        until = sum(writer.done for writer in self.writers) + transactions
        wait_for(lambda: sum(writer.done for writer in self.writers) >= until or not any(w.is_busy() for w in self.writers),
                 60, "the writers", every=0.005)

    # The run.

    def begin(self):
        self.cluster.create()
        self.database = Database(self.cluster, f"chaos_{self.seed}")
        ddl = "CREATE SCHEMA shadow; CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy, very');\n"
        ddl += "".join(table.ddl() for table in self.tables)
        self.journal.add("chaos", ddl)
        self.database.execute(ddl)
        for table in self.tables:
            rows = f"generate_series(0, {self.rng.choice((0, table.keys // 2, table.keys * 10))}) g"
            self.database.execute(insert_into(table, table.columns, 7, rows))
        self.tarn = Tarn(self.folder / "tarn", self.database, names=f"chaos_{self.seed}", **self.sections)
        self.writers = [Writer(f"writer{i}", f"chaos/{self.seed}", self.database, self.tables, self.journal)
                        for i in range(self.rng.randint(2, 4))]

    def round(self, turn: int):
        transactions = max(3, int(self.rng.randint(12, 30) * self.size))
        if turn > 0:
            reshape(self, random.Random(f"reshape/{self.seed}/{turn}"))
        for writer in self.writers:
            writer.start(turn, transactions)
        if turn == 0:
            self.start_tarn()
        for _ in range(self.rng.randint(1, 3)):
            self.wait_writers(self.rng.randint(1, max(2, transactions * len(self.writers) // 4)))
            disturb(self, self.rng)
        for writer in self.writers:
            writer.join()
        settle(self)
        # A table without a key may lose rows once its copy is over.
        for writer in self.writers:
            writer.calm = False

    def equal_now(self, what: str) -> Moment:
        """Silver and quarantine are as the source has it: by tarn's own comparison, and by ours."""
        self.verify()  # Behind it, also a table whose copy was a late one is a member of the lake's version.
        moment = read_source(self.database, self.tables)
        self.verify()
        compare(what, self.tarn, moment)
        return moment

    def verify(self):
        """While a connection that was cut is being made again, it asks for patience."""
        def answers():
            outcome = self.tarn.command("verify", "--json")
            return outcome if "try again when it is" not in outcome.text else None
        outcome = wait_for(answers, 60, "streaming, to verify")
        assert outcome.code == 0, f"{outcome.text}\n{self.tarn.log_tail()}"

    def run(self):
        self.begin()
        for turn in range(self.rng.randint(2, 4)):
            self.round(turn)
            # Verifying commits Silver, so that a lake version has exactly this.
            self.moments.append(self.equal_now(f"round {turn}"))
        self.finish()

    def finish(self):
        self.compare_past("as of")
        self.bronze_is_complete()
        assert self.tarn.stop() == 0, self.tarn.log_tail()
        compare("the lake at rest", self.tarn, self.moments[-1])
        assert self.bronze_is_complete()["warnings"] == [], "files that no manifest names are left"
        if self.rng.random() < 0.4:
            self.rebuild()

    def compare_past(self, what: str):
        for moment in self.moments:
            compare(what, self.tarn, moment, moment.time)

    def bronze_is_complete(self) -> dict:
        outcome = self.tarn.command("bronze", "verify", "--json")
        assert outcome.code == 0, outcome.text
        report = json.loads(outcome.out)
        # Nothing that happens here breaks the stream, and most DDL is followed: a second copy would be a wrong alarm, unless a
        # TRUNCATE came shortly before.
        several = any(table.refilled or (table.truncated and table.widened) for table in self.tables)
        assert report["copies"] == len(self.tables) or several, f"{report['copies']} copies of {len(self.tables)} tables\n{self.tarn.log_tail()}"
        return report

    def rebuild(self):
        self.journal.add("chaos", "rebuild")
        self.tarn.must("rebuild")
        compare("the rebuilt lake", self.tarn, self.moments[-1])
        for writer in self.writers:
            writer.start(100, 3)
        self.start_tarn()
        for writer in self.writers:
            writer.join()
        settle(self)
        self.equal_now("behind the rebuild")

    def close(self):
        for writer in self.writers:
            if writer.is_busy():
                writer.join()
            writer.close()
        if hasattr(self, "tarn"):
            self.tarn.close()
        if hasattr(self, "database"):
            self.database.connection.close()
        self.journal.close()
        self.cluster.destroy()


def run_seed(seed: int, size: float = 1) -> str:
    """Runs one seed and says what was done. A failure leaves journal, log, configuration and lake in build/chaos/seed-N."""
    folder = Path(tempfile.mkdtemp(prefix=f"tarn-chaos-{seed}-", dir=scratch_parent()))
    folder.chmod(0o755)
    chaos = Chaos(seed, folder, size)
    try:
        chaos.run()
        return (f"{len(chaos.tables)} tables, {len(chaos.moments)} rounds, {sum(w.committed for w in chaos.writers)} commits "
                f"by {len(chaos.writers)} writers")
    except BaseException as error:
        chaos.journal.add("chaos", f"FAILED {error}")
        kept = KEPT / f"seed-{seed}"
        error.add_note(f"seed {seed}; again alone: scripts/chaos --seed {seed}; journal, log and lake: {kept}")
        chaos.close()
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("*.sock", ".s.PGSQL*"))
        raise
    finally:
        chaos.close()
        if not os.environ.get("TARN_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
