"""What the four services have in common: contracts, Kafka, Postgres, clock, ids, money, errors, observability."""
