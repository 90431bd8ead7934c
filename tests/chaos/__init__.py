"""Random schemas, changes and interruptions from one seed; the outcome is compared in every way there is."""
