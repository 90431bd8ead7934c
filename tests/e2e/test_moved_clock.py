"""The machine's clock is set back and forth: names, instants and versions go on in order, and the past is what it was."""

from __future__ import annotations

from support.shifted_clock import MovedClock

HOUR = 3600


def instants(tarn) -> list[str]:
    return sorted({path.name.split(".")[0] for path in (tarn.lake / "silver/t/.hoodie").glob("*.*commit")})


def names(tarn) -> list[str]:
    return sorted(path.stem for path in (tarn.lake / "bronze/public/t").glob("2*.parquet"))


def test_set_while_tarn_runs_and_while_it_is_stopped(source, worker):
    source.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g")
    tarn = worker.tarn(source, bronze={"flush_interval_ms": 0}, silver={"commit_interval_ms": 0})
    clock = MovedClock(worker.folder)
    tarn.environment = clock.environment
    tarn.start()
    moments, turn = [], 0

    def change():
        nonlocal turn
        turn += 1
        source.execute("UPDATE t SET n = %s WHERE id %% 3 = %s", (turn, turn % 3))
        source.execute("INSERT INTO t VALUES (%s, %s)", (100 + turn, turn))
        tarn.wait_caught_up()
        moments.append((source.value("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::text"), source.value("SELECT sum(n) FROM t")))

    order: list[str] = []
    for seconds in (0, -2 * HOUR, 5, -26 * HOUR, 3 * HOUR, 0):
        clock.set(seconds)
        for _ in range(3):
            change()
        order += [instant for instant in instants(tarn) if instant not in order]
        assert order == instants(tarn), "a later commit has an earlier instant"
        if seconds == -26 * HOUR:
            tarn.kill()
            clock.set(-50 * HOUR)
            tarn.start()
            change()
    assert len(names(tarn)) >= turn
    tarn.verify()
    for when, total in moments:
        assert int(tarn.value("SELECT sum(n) FROM t", as_of=when)) == total, when
    tarn.bronze_verified()
    tarn.check_tables()
    assert tarn.stop() == 0
    before = tarn.value("SELECT list(n ORDER BY id)::VARCHAR FROM t")
    tarn.must("rebuild")
    assert tarn.value("SELECT list(n ORDER BY id)::VARCHAR FROM t") == before
