"""Starts and stops the embedded Kafka, PostgreSQL and service processes on one machine."""
