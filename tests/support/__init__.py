"""What the whole-system tests share: a private PostgreSQL, a tarn on it, comparisons."""
