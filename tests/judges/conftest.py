"""The lake that all judges look at."""

from __future__ import annotations

import pytest

from support.judged_lake import judged_lake


@pytest.fixture(scope="session")
def lake(request, session_folder, cluster):
    print(f"seed {request.config.tarn_seed}")
    with judged_lake(session_folder / "judged", cluster, request.config.tarn_seed) as made:
        yield made
