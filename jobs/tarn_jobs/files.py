"""Small files of a lake, by name: on this machine, or wherever Spark's Hadoop reads from."""

from __future__ import annotations

from pathlib import Path


class LocalFiles:
    """Paths of this machine."""

    def names(self, folder: str) -> list[str]:
        """In order; none where there is no such folder."""
        path = Path(folder)
        return sorted(item.name for item in path.iterdir()) if path.is_dir() else []

    def read(self, path: str) -> str:
        return Path(path).read_text(encoding="utf-8")


class SparkFiles:
    """Any path that the session can read: file, s3, hdfs."""

    def __init__(self, spark):
        self._jvm, self._conf = spark._jvm, spark._jsc.hadoopConfiguration()

    def _at(self, path: str):
        where = self._jvm.org.apache.hadoop.fs.Path(path)
        return where.getFileSystem(self._conf), where

    def names(self, folder: str) -> list[str]:
        system, where = self._at(folder)
        return sorted(item.getPath().getName() for item in system.listStatus(where)) if system.exists(where) else []

    def read(self, path: str) -> str:
        system, where = self._at(path)
        stream = system.open(where)
        try:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode("utf-8")
        finally:
            stream.close()
