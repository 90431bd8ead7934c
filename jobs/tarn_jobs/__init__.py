"""Silver's rules and Gold's models of a tarn lake, run by Spark from the same files."""
