"""What befalls tarn and its source while the writers write."""

from __future__ import annotations

import random
import signal

from support.cluster import wait_for


def kill_tarn(chaos, rng: random.Random):
    """kill -9, and a new start, which may be killed in its turn."""
    for _ in range(rng.choice((1, 1, 2))):
        chaos.tarn.kill()
        chaos.wait_writers(rng.randint(0, 3))
        chaos.start_tarn()
        chaos.wait_writers(rng.randint(0, 4))


def stop_tarn(chaos, rng: random.Random):
    """SIGTERM or SIGINT: it ends in order."""
    how = rng.choice((signal.SIGTERM, signal.SIGINT))
    fresh = not chaos.has_spoken()  # It may not have come as far as to catch signals.
    code = chaos.tarn.stop(how)
    assert code == 0 or (code == 1 and chaos.outage) or (code == -how and fresh), f"exit code {code}\n{chaos.tarn.log_tail()}"
    chaos.wait_writers(rng.randint(0, 8))
    chaos.start_tarn()


def cut_connections(chaos, rng: random.Random):
    """pg_terminate_backend of everything that tarn has open."""
    for _ in range(rng.randint(1, 3)):
        chaos.source_goes()
        cut = chaos.database.cluster.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'tarn %'")
        chaos.journal.add("chaos", f"cut {cut[0][0]} connections")
        chaos.wait_writers(rng.randint(0, 4))


def restart_source(chaos, rng: random.Random):
    """An immediate stop is a crash to PostgreSQL: it recovers from its log."""
    chaos.source_goes()
    cluster = chaos.database.cluster
    if rng.random() < 0.3:
        cluster.kill()
    else:
        cluster.stop("immediate")
    cluster.start()
    chaos.database.reconnect()
    chaos.wait_writers(rng.randint(1, 4))


def freeze_tarn(chaos, rng: random.Random):
    """SIGSTOP while the writers go on, as on a machine that is out of breath."""
    chaos.tarn.process.send_signal(signal.SIGSTOP)
    try:
        chaos.wait_writers(rng.randint(3, 15))
    finally:
        chaos.tarn.process.send_signal(signal.SIGCONT)
    chaos.wait_writers(rng.randint(0, 3))


def all_at_once(chaos, rng: random.Random):
    """The source crashes while tarn is frozen, and tarn is killed as it wakes."""
    chaos.tarn.process.send_signal(signal.SIGSTOP)
    restart_source(chaos, rng)
    chaos.tarn.process.send_signal(signal.SIGCONT)
    chaos.tarn.kill()
    chaos.start_tarn()


DISTURBANCES = [(5, kill_tarn), (2, stop_tarn), (3, cut_connections), (3, restart_source), (2, freeze_tarn), (1, all_at_once)]


def disturb(chaos, rng: random.Random):
    make = rng.choices([function for _, function in DISTURBANCES], [weight for weight, _ in DISTURBANCES])[0]
    chaos.journal.add("chaos", make.__name__)
    make(chaos, rng)
    chaos.keep_running()


def settle(chaos):
    """Until tarn streams again, and copies nothing."""
    looks = []

    def streams():
        chaos.keep_running()
        status = chaos.tarn.status()
        if not status or status["phase"] != "streaming" or status["copies"]["wanted"]:
            looks.clear()
            return False
        # DDL of a quiet table is seen by the next look at the catalogue, not by the one that is under way.
        looks.append(status["source"]["looks"])
        return looks[-1] >= looks[0] + 2
    try:
        wait_for(streams, 90, "streaming", every=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{chaos.tarn.status()}\n{chaos.tarn.log_tail()}") from None
    chaos.outage = False
