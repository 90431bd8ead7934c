"""The programs as they are started: what they print, and how they end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.tarn import SOURCE_DIR, tarn_binary


JOB, CHECK = SOURCE_DIR / "jobs/tarn_job.py", SOURCE_DIR / "jobs/check_portable.py"


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-B", *map(str, arguments)], capture_output=True, text=True)


def test_models_of_the_shop_are_portable(shop_lake):
    for more in ([], ["--lake", shop_lake]):
        done = run(CHECK, SOURCE_DIR / "models", *more)
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.fixture
def models(tmp_path):
    (tmp_path / "gold").mkdir()
    (tmp_path / "silver").mkdir()
    (tmp_path / "gold/a.sql").write_text("-- What.\nSELECT tenant_id,\n  approx_quantile(total, 0.5) AS half\nFROM orders GROUP BY 1\n")
    (tmp_path / "gold/a.yml").write_text("key: [tenant_id]\n")
    (tmp_path / "silver/orders.yml").write_text("table: orders\nrules:\n  - name: r\n    check: json_valid(status)\n")
    return tmp_path


def test_what_is_not_portable_has_its_place(models, shop_lake):
    for more in ([], ["--lake", shop_lake]):
        done = run(CHECK, models, *more)
        assert done.returncode == 1
        assert f"{models}/gold/a.sql:3:3: " in done.stdout and f"{models}/silver/orders.yml:4:12: " in done.stdout, done.stdout


def test_plan_says_what_is_not_portable(models, shop_lake, tmp_path):
    import os
    before = open(os.environ["TARN_CONFIG"], encoding="utf-8").read()
    lines = [f'models = "{models}"' if line.startswith("models = ") else line for line in before.splitlines()]
    lines = [f'path = "{shop_lake}"' if line.startswith("path = ") and "folder" in line else line for line in lines]

    def plan(command: str) -> subprocess.CompletedProcess:
        (tmp_path / "tarn.toml").write_text("\n".join(lines) + f"\n[spark]\ncheck = {command}\n")
        return subprocess.run([tarn_binary(), "-c", tmp_path / "tarn.toml", "plan"], capture_output=True, text=True)
    done = plan(f'["{sys.executable}", "-B", "{CHECK}"]')
    assert done.returncode != 0 and f"not on Spark  {models}/gold/a.sql:3:3: " in done.stdout, done.stdout + done.stderr
    done = plan('["no-such-program"]')
    assert done.returncode == 2 and "[spark] check: 'no-such-program' cannot be started" in done.stderr, done.stderr
    done = plan('["false"]')
    assert done.returncode == 2 and "ended with 1" in done.stderr, done.stderr


@pytest.mark.parametrize("arguments,said", [
    ([CHECK, "/nowhere"], "has neither gold/ nor silver/"),
    ([JOB, "--layers", "gold", "--lake", "here", "--models", "m", "--target", "here/"], "--target is the lake itself"),
    ([JOB, "--layers", "bronze", "--lake", "a", "--models", "m", "--target", "b"], "invalid choice: 'bronze'"),
])
def test_wrong_arguments_are_named(arguments, said):
    done = run(*arguments)
    assert done.returncode == 2 and said in done.stderr, done.stderr
