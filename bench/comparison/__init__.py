"""The comparison of Duramen with Apache Kafka: brokers, measuring, rows, report."""
