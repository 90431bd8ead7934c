"""The demonstration: a live Django shop through PostgreSQL, Bronze, Silver and Gold to SQL answers."""
