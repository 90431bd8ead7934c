"""Makes databases and tarns for one test, or one module, and cleans up after it."""

from __future__ import annotations

from pathlib import Path

from .cluster import Cluster, Database
from .tarn import Tarn


class Worker:
    """Everything in one folder, with names of its own on the server."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.count = 0
        self.databases: list[Database] = []
        self.tarns: list[Tarn] = []

    def name(self) -> str:
        self.count += 1
        return f"{self.folder.name.replace('-', '_')}_{self.count}"

    def database(self, cluster: Cluster) -> Database:
        database = Database(cluster, self.name())
        self.databases.append(database)
        return database

    def tarn(self, database: Database, **options) -> Tarn:
        name = self.name()
        tarn = Tarn(self.folder / name, database, names=name, **options)
        self.tarns.append(tarn)
        return tarn

    def close(self):
        for tarn in self.tarns:
            tarn.close()
        try:
            for tarn in self.tarns:
                tarn.check_tables()
        finally:
            self._drop_databases()

    def _drop_databases(self):
        for database in self.databases:
            try:
                database.drop()
            except Exception as error:  # The test's own outcome counts.
                print(f"clean-up of {database.name}: {error}")
