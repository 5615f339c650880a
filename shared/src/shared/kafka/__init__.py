"""Kafka, once for all services: decoding, the consumer, the publisher, dead letters, topics."""
